#include "conductor/minimum_targets.h"

#include <algorithm>
#include <cmath>

#include "model/schedule.h"

namespace okibi::conductor {
namespace {

bool inSpan(std::optional<WallTime> start, std::optional<WallTime> end, WallTime now) {
  return (!start || now >= *start) && (!end || now < *end);
}

}  // namespace

std::optional<int> scheduledTarget(const ScheduledTarget& schedule, WallTime now) {
  if (!inSpan(schedule.start, schedule.end, now)) return std::nullopt;
  const auto times = Schedule::parse(schedule.expression, schedule.timeZone);
  if (!times) return std::nullopt;  // it was checked when it was put; the zone may have gone
  const auto last = times->previous(now);
  if (!last || (schedule.start && *last < *schedule.start)) return std::nullopt;
  return schedule.target;
}

std::optional<double> measured(std::string_view metric, const MinimumLoad& load) {
  if (metric == kCpuMetric) return load.cpu;
  if (metric == kGpuMemoryMetric) return load.gpuMemory;
  return load.utilization;
}

int trackedTarget(const TrackingPolicy& policy, int current, double utilization) {
  const double aim = static_cast<double>(policy.metricTargetMillionths) / 1e6;
  const double ideal = std::ceil(current * utilization / aim - 1e-9);
  int target = static_cast<int>(ideal);
  if (target < current) target = current - (current - target + 1) / 2;
  return std::clamp(target, policy.least, policy.most);
}

int MinimumTargets::follow(const TrackingPolicy& policy, Window& window, MinimumLoad load,
                           WallTime now) {
  if (const auto value = measured(policy.metric, load)) {
    window.sum += *value;
    ++window.samples;
  }
  window.target = std::clamp(window.target, policy.least, policy.most);
  if (now - window.since < kWindow) return window.target;
  // The first look has no window behind it.
  if (window.since != WallTime{} && window.samples > 0) {
    window.target = trackedTarget(policy, load.current, window.sum / window.samples);
  }
  window.since = now;
  window.sum = 0;
  window.samples = 0;
  return window.target;
}

int MinimumTargets::target(const ResourceId& id, const MinimumConfig& config, MinimumLoad load,
                           WallTime now) {
  State& state = states_[id];
  std::optional<int> most;
  for (const ScheduledTarget& schedule : config.schedules) {
    const auto asked = scheduledTarget(schedule, now);
    if (asked) most = std::max(most.value_or(0), *asked);
  }
  for (const TrackingPolicy& policy : config.tracking) {
    if (!inSpan(policy.start, policy.end, now)) continue;
    most = std::max(most.value_or(0), follow(policy, state.policies[policy.name], load, now));
  }
  state.target = most.value_or(config.minimum);
  return state.target;
}

int MinimumTargets::last(const ResourceId& id) const {
  const auto found = states_.find(id);
  return found == states_.end() ? 0 : found->second.target;
}

}  // namespace okibi::conductor
