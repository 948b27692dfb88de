#pragma once
// MinimumTargets: how many instances a qualifier is to keep now (Function Compute: auto scaling of
// minimum instances): the most that any policy in effect asks for, else the default. A schedule is
// in effect from its last time on, within its span. A tracking policy follows the share of what it
// names that is in use: out at once, in by half of what is too much, each on the average of a
// window; a window in which nothing was measured changes nothing. Pure: told the time and what is
// measured.

#include <map>
#include <optional>

#include "base/units.h"
#include "model/resource.h"

namespace okibi::conductor {

// Of the kept instances of a qualifier.
struct MinimumLoad {
  int current = 0;         // ready
  double utilization = 0;  // requests on them / slots, 0–1
  // nullopt: not measured.
  std::optional<double> cpu = std::nullopt;        // CPU time / configured CPUs
  std::optional<double> gpuMemory = std::nullopt;  // in use / slices
};
// What a policy on `metric` follows.
std::optional<double> measured(std::string_view metric, const MinimumLoad& load);

class MinimumTargets {
 public:
  static constexpr std::chrono::seconds kWindow{30};

  // Call about once a second: each call is one sample.
  int target(const ResourceId& id, const MinimumConfig& config, MinimumLoad load, WallTime now);
  // The last answer; 0: never asked.
  int last(const ResourceId& id) const;
  void forget(const ResourceId& id) { states_.erase(id); }

 private:
  struct Window {
    WallTime since{};
    double sum = 0;
    int samples = 0;
    int target = 0;
  };
  struct State {
    std::map<std::string, Window> policies;  // by name
    int target = 0;
  };
  static int follow(const TrackingPolicy& policy, Window& window, MinimumLoad load, WallTime now);
  std::map<ResourceId, State> states_;
};

// Scale-out: ceil(current × metric / target); in: half way to it. Clamped to the policy's bounds.
int trackedTarget(const TrackingPolicy& policy, int current, double utilization);
std::optional<int> scheduledTarget(const ScheduledTarget& schedule, WallTime now);

}  // namespace okibi::conductor
