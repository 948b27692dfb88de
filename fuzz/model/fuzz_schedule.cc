// Arbitrary texts as schedules. Nothing may crash or run long; what is understood must give times
// that go forward, and the way back must find them.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "model/schedule.h"

namespace {

using namespace okibi;

void require(bool condition) {
  if (!condition) std::abort();
}

// The first line: a zone; the rest: an expression.
void walk(std::string_view text) {
  const std::size_t end = text.find('\n');
  if (end == std::string_view::npos) return;
  const auto schedule = Schedule::parse(text.substr(end + 1), text.substr(0, end));
  if (!schedule) {
    require(schedule.error().kind == ErrorKind::Invalid && !schedule.error().message.empty());
    return;
  }
  WallTime time = WallTime(std::chrono::seconds(1'700'000'000));
  for (int i = 0; i < 5; ++i) {
    const auto next = schedule->next(time);
    if (!next) return;
    require(*next > time);
    if (const auto back = schedule->previous(*next)) require(*back == *next);
    time = *next;
  }
}

void asCron(std::string_view text) {
  const auto cron = Cron::parse(text);
  if (!cron) return;
  const CivilSeconds from(std::chrono::seconds(1'700'000'000));
  if (const auto next = cron->next(from)) require(cron->matches(*next));
  if (const auto last = cron->previous(from)) require(cron->matches(*last));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  walk(text);
  asCron(text);
  return 0;
}
