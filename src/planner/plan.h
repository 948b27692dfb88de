#pragma once
// What the planner is told once: its limits, and per deployed revision of a function the few
// numbers it decides by. The conductor makes a FunctionPlan from a FunctionSpec.

#include <optional>
#include <string>

#include "base/ids.h"
#include "base/limits.h"
#include "base/units.h"
#include "model/gpu_spec.h"

namespace okibi::planner {

// What becomes of an instance whose request was given up (caller left, function timeout): the app
// may still be working on it. Function Compute replaces the instance when it serves one request at
// a time and has no health check (Function Compute: custom containers).
enum class AfterAbandon { KeepInstance, ReplaceInstance };

// One deployed revision. Nothing but its weight changes (WeightChanged): another configuration is
// another FunctionKey.
struct FunctionPlan {
  FunctionKey key;
  std::string account;           // quota counts by it
  std::string name;              // for reasons and messages only
  std::optional<GpuConfig> gpu;  // the slice each instance holds; type as in Card::type
  int weight = 1;                // of it among its account's functions, when cards are short
  int concurrency = 1;           // requests one instance serves at once, 1–200
  Duration idleTimeout = limits::kIdleDefault;  // released this long after its last request ended
  // Its GPU memory is given back this long after its last request ended, where the planner has host
  // memory for it (PlannerConfig::hostMemory); nullopt: never parked. `idleTimeout` counts on.
  std::optional<Duration> parkAfter = std::nullopt;
  // Frozen this long after its last request ended; nullopt: never frozen.
  std::optional<Duration> freezeAfter = limits::kFreezeAfterIdle;
  AfterAbandon afterAbandon = AfterAbandon::KeepInstance;
  // KeptOnly: requests are served by the instances of its minimum and start no others.
  enum class Demand { Starts, KeptOnly } demand = Demand::Starts;
};

// How long idle instances are kept (planner/keep_alive.h).
enum class KeepAlivePolicy {
  Fixed,    // as the function's plan says
  Learned,  // by the function's own arrivals, at no more idle and parked time than the plan's rule
  Histogram,  // the hybrid histogram of "Serverless in the Wild" (ATC'20), without its ARIMA part
};

// When a request that finds no room gets another instance (planner/line_wait.cc).
enum class ScaleOut {
  PerRequest,    // at once
  ExpectedWait,  // when waiting in line is expected to take longer than a start, or has
};

// Which of the cards that have room takes a slice.
enum class CardRule {
  BestFit,        // the one it fills best
  Fragmentation,  // where free memory that the deployed functions' slices could not use grows least
};

// Constant for the life of a planner.
struct PlannerConfig {
  int cardQuota = limits::kCardQuota;          // GPU instances per account
  int instanceQuota = limits::kInstanceQuota;  // instances per account
  // Instances an account may start at once, and how many more per minute (Function Compute: limits:
  // large regions); burst 0: no limit.
  int startBurst = 300;
  int startGrowth = 300;
  ScaleOut scaleOut = ScaleOut::ExpectedWait;
  // ExpectedWait: how much longer than a start the wait may be, in percent of the start; -100 or
  // more. Half a start: a start serves those who come after as well, and the line may be slower
  // than expected, so that a wait as long as a start saves one too dearly (docs/benchmarks.md).
  int waitMarginPercent = -50;
  // Whether a request is refused when it comes, where its line is expected to take at least
  // `refusalCaution` times as long as its deadline allows.
  bool refuseEarly = true;
  int refusalCaution = 2;
  std::size_t queuePerFunction = limits::kQueuePerFunction;
  // Instances that compute on one card at once (CardTurns); 0: all of them, as the driver shares.
  int cardTurns = 0;
  // So many starts of a function failing in a row make it start one instance at a time, until one
  // becomes ready: a function that cannot start costs one start at a time, whatever its traffic.
  int startFailuresInRow = 3;
  // A request that has waited this long for cards or quota makes functions that keep theirs busy
  // yield.
  Duration yieldAfter = std::chrono::seconds(10);
  Bytes hostMemory{};  // for parked instances, each as much as its slice; zero: nothing is parked
  CardRule cardRule = CardRule::BestFit;
  KeepAlivePolicy keepAlive = KeepAlivePolicy::Fixed;
  Duration histogramRange = std::chrono::hours(4);  // Histogram: idle times beyond are not counted
};

}  // namespace okibi::planner
