#pragma once
// One story in about twenty lines: a fleet, functions, timed events and faults, and what must come
// of it. Played against the daemon's planner with every law checked after every step; afterwards
// everything must come to rest at zero.
//
//   card = 2 x T x 16G              start = 2s   service = 1s   stop = 0s   park = 1s   wake = 2s
//   host_memory = 64G
//   policy KEY=VALUE …              scale-out=per-request|expected-wait margin=PERCENT yield=TIME
//                                   turns=N cards=N instances=N burst=N growth=N queue=N
//                                   refuse-early=on|off failures=N keep-alive=fixed|learned
//   function NAME [account=A] [gpu=TYPE:SIZE] [conc=N] [idle=TIME] [park=TIME] [weight=N]
//                 [start=TIME] [service=TIME]
//   at TIME arrive NAME [xN] [every=TIME] [deadline=TIME] [service=TIME]
//   at TIME keep NAME N | weigh NAME N | cap NAME N|none | retire NAME | crash NAME | fail NAME xN
//   at TIME lose CARD | add CARD | runtime lost|restored | drain
//   at TIME quota ACCOUNT KEY=N …   cards, instances, burst, growth, weight
//   [at TIME] expect NAME|all WHAT =|<=|>= VALUE
//   expect NAME|all refusal TEXT    some refusal's code or message contains it
//
// WHAT: arrived, served, warm, cold, woken, refused, aborted, starts, wakes, ahead (of those: for
// requests that were expected), stops, wait-max, wait-mean; with a time also instances, parked,
// queued. '#' begins a comment.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "planner/plan.h"
#include "sim/fleet.h"

namespace okibi::sim {

struct ScenarioFunction {
  planner::FunctionPlan plan;
  std::optional<Duration> start, service;  // nullopt: as the scenario says
};

struct ScenarioEvent {
  enum class Kind {
    Arrive,
    Keep,
    Weigh,
    Cap,
    Retire,
    Crash,
    Fail,
    Lose,
    Add,
    RuntimeLost,
    RuntimeRestored,
    Drain,
    Quota,
    Expect
  };
  Instant at;
  int line = 0;
  Kind kind = Kind::Arrive;
  std::size_t function = 0;  // index; of the expectation for Expect
  int number = 0;            // of arrivals, instances, failures; the card
  std::optional<Duration> deadline, service;
  std::string account;
  std::map<std::string, int> quota;
};

struct Expectation {
  enum class Test { Equal, AtMost, AtLeast, Contains };
  int line = 0;
  std::optional<std::size_t> function;  // nullopt: all together
  std::string what;
  Test test = Test::Equal;
  double value = 0;  // seconds, or a count
  std::string text;  // Contains; and as written
};

struct Scenario {
  Fleet fleet;
  Duration service = std::chrono::seconds(1);
  planner::PlannerConfig config;
  std::vector<ScenarioFunction> functions;
  std::vector<ScenarioEvent> events;  // by time
  std::vector<Expectation> expectations;

  // Invalid names the line and what it may say.
  static Result<Scenario> parse(std::string_view text);
};

struct ScenarioResult {
  std::vector<std::string> failures;  // "line 12: cold is 3, not <= 2", a broken law; empty: passed
  int steps = 0, served = 0, refused = 0;
};
ScenarioResult play(const Scenario& scenario);

}  // namespace okibi::sim
