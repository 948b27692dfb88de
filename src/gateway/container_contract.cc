#include "gateway/container_contract.h"

#include <array>
#include <iterator>

#include <fmt/format.h>

#include "base/encoding.h"

namespace okibi::gateway {
namespace {

bool isFunctionComputeHeader(std::string_view name) {
  return name.size() >= 5 && equalsIgnoreCase(name.substr(0, 5), "x-fc-");
}

}  // namespace

void addServerTiming(net::Headers& headers, const conductor::Invocation& invocation,
                     Duration served) {
  if (invocation.warmth != planner::Warmth::Cold) return;
  const ledger::ColdPhases& phases = invocation.phases;
  const Duration waited = invocation.dispatched.at - invocation.received.at;
  std::string text;
  const auto add = [&text](std::string_view name, Duration time) {
    fmt::format_to(std::back_inserter(text), "{}{};dur={:.3f}", text.empty() ? "" : ", ", name,
                   toMilliseconds(time));
  };
  add("schedule", phases.schedule);
  add("image", phases.image);
  add("sandbox", phases.sandbox);
  add("app", phases.app);
  add("init", phases.init);
  add("request", served);
  add("total", waited + served);
  headers.add("Server-Timing", text);
}

void dropForgedHeaders(net::Headers& headers) {
  headers.removeIf(isFunctionComputeHeader);
}

void dropReservedHeaders(net::Headers& headers) {
  static constexpr std::array<std::string_view, 6> kReserved{
      "connection", "content-length", "date", "keep-alive", "server", "content-disposition"};
  headers.removeIf([](std::string_view name) {
    if (isFunctionComputeHeader(name)) return true;
    for (std::string_view reserved : kReserved) {
      if (equalsIgnoreCase(name, reserved)) return true;
    }
    return false;
  });
}

}  // namespace okibi::gateway
