// Two instances that compute at once: as the driver shares the card, and when they are admitted in
// turns of 3 to 1, as the planner does it (weighted fair: whoever has had least for its weight is
// next).

#include <thread>

#include "bench/gpu/driver.h"
#include "bench/gpu/report.h"
#include "bench/gpu/target.h"

namespace okibi::gpubench {
namespace {

constexpr int kSeconds = 10;
constexpr double kTurnMs = 5;

bool start(Target& target) {
  return target.ask("init") == "ok" && target.ask("context") == "ok";
}

std::string percent(double part, double all) {
  return all > 0 ? number(100 * part / all, "%.1f %%") : "-";
}

void shared(Report& report) {
  Target first, second;
  if (!start(first) || !start(second)) return;
  first.send("loop " + std::to_string(kSeconds));
  second.send("loop " + std::to_string(kSeconds));
  const auto count = [](const std::string& answer) {
    return answer.starts_with("ok ") ? std::atof(answer.c_str() + 3) : 0;
  };
  const double a = count(first.receive()), b = count(second.receive());
  report.row({"both at once", number(a, "%.0f"), number(b, "%.0f"), percent(a, a + b)});
}

void admitted(Report& report, double weight) {
  Target first, second;
  if (!start(first) || !start(second)) return;
  double had[2] = {}, turns[2] = {};
  const double weights[2] = {weight, 1};
  const auto begin = std::chrono::steady_clock::now();
  while (secondsSince(begin) < kSeconds) {
    const int next = had[0] / weights[0] <= had[1] / weights[1] ? 0 : 1;
    const auto turn = std::chrono::steady_clock::now();
    if ((next ? second : first).ask("turn " + number(kTurnMs)) != "ok") return;
    had[next] += secondsSince(turn);
    ++turns[next];
  }
  report.row({"admitted " + number(weight) + " to 1", number(turns[0], "%.0f"),
              number(turns[1], "%.0f"), percent(had[0], had[0] + had[1])});
}

}  // namespace
}  // namespace okibi::gpubench

int main() {
  using namespace okibi::gpubench;
  if (call("cuInit", 0u) != 0) return 77;
  Report report(11, "two instances computing for 10 s",
                {"how", "first's kernels", "second's kernels", "first's share"});
  shared(report);
  admitted(report, 1);
  admitted(report, 3);
}
