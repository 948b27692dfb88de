#include "conductor/minimum_targets.h"

#include <gtest/gtest.h>

#include "base/encoding.h"

namespace okibi::conductor {
namespace {

const ResourceId kId{{"acc", "f"}, "LATEST"};

WallTime at(std::string_view text) {
  return parseIso8601(text).value();
}

TEST(MinimumTargets, ScheduleHoldsFromItsTimeWithinItsSpan) {
  MinimumConfig config;
  config.minimum = 1;
  config.schedules.push_back({"day", "cron(0 0 9 * * *)", "Asia/Tokyo", at("2026-01-01T00:00:00Z"),
                              at("2026-01-03T00:00:00Z"), 5, "", ""});
  MinimumTargets targets;
  const auto target = [&](std::string_view time) {
    return targets.target(kId, config, {}, at(time));
  };
  EXPECT_EQ(target("2025-12-31T23:59:59Z"), 1);
  EXPECT_EQ(target("2026-01-01T00:00:00Z"), 5);
  EXPECT_EQ(target("2026-01-02T23:59:59Z"), 5);
  EXPECT_EQ(target("2026-01-03T00:00:00Z"), 1);
  EXPECT_EQ(targets.last(kId), 1);
}

TEST(MinimumTargets, TheMostInEffectCountsAndTheDefaultOnlyWhenNoneIs) {
  MinimumConfig config;
  config.minimum = 9;
  config.schedules.push_back({"a", "at(2026-01-01T00:00:00)", "", {}, {}, 2, "", ""});
  config.schedules.push_back({"b", "at(2026-01-01T06:00:00)", "", {}, {}, 4, "", ""});
  MinimumTargets targets;
  EXPECT_EQ(targets.target(kId, config, {}, at("2025-12-31T00:00:00Z")), 9);
  EXPECT_EQ(targets.target(kId, config, {}, at("2026-01-01T03:00:00Z")), 2);
  EXPECT_EQ(targets.target(kId, config, {}, at("2026-01-01T09:00:00Z")), 4);
}

TEST(MinimumTargets, TrackingFollowsTheAverageOfAWindow) {
  MinimumConfig config;
  config.tracking.push_back(
      {"t", "ProvisionedConcurrencyUtilization", "", {}, {}, 500'000, 1, 10, "", ""});
  MinimumTargets targets;
  WallTime now = at("2026-01-01T00:00:00Z");
  int current = 1;
  const auto run = [&](int seconds, double utilization) {
    for (int i = 0; i < seconds; ++i, now += std::chrono::seconds(1)) {
      current = targets.target(kId, config, {current, utilization}, now);
    }
    return current;
  };
  EXPECT_EQ(run(5, 1.0), 1) << "the least, before anything is known";
  EXPECT_EQ(run(30, 1.0), 2);
  EXPECT_EQ(run(30, 1.0), 4);
  EXPECT_EQ(run(120, 1.0), 10) << "the most";
  EXPECT_EQ(run(60, 0.5), 10) << "as wanted: it stays";
  EXPECT_LT(run(60, 0.0), 6);
  EXPECT_EQ(run(300, 0.0), 1);
}

TEST(MinimumTargets, EachPolicyFollowsItsMetricAndWhatIsNotMeasuredChangesNothing) {
  MinimumConfig config;
  config.tracking.push_back({"cpu", "CPUUtilization", "", {}, {}, 500'000, 1, 10, "", ""});
  MinimumTargets targets;
  WallTime now = at("2026-01-01T00:00:00Z");
  int current = 4;
  const auto run = [&](int seconds, MinimumLoad load) {
    for (int i = 0; i < seconds; ++i, now += std::chrono::seconds(1)) {
      load.current = current;
      current = targets.target(kId, config, load, now);
    }
    return current;
  };
  EXPECT_EQ(run(1, {}), 1);
  EXPECT_EQ(run(30, {.utilization = 1, .cpu = 0.9}), 2) << "twice what one is to use";
  EXPECT_EQ(run(90, {.utilization = 1}), 2) << "nothing was measured";
  EXPECT_EQ(run(120, {.utilization = 1, .cpu = 0.1, .gpuMemory = 1}), 1);
  config.tracking[0].metric = "GPUMemUtilization";
  EXPECT_EQ(run(60, {.utilization = 0, .cpu = 0, .gpuMemory = 1}), 4);
}

TEST(TrackedTarget, OutAtOnceInHalfWay) {
  TrackingPolicy policy;
  policy.metricTargetMillionths = 600'000;
  policy.most = 100;
  EXPECT_EQ(trackedTarget(policy, 10, 0.9), 15);
  EXPECT_EQ(trackedTarget(policy, 10, 0.6), 10);
  EXPECT_EQ(trackedTarget(policy, 10, 0.0), 5);
  policy.most = 12;
  EXPECT_EQ(trackedTarget(policy, 10, 0.9), 12);
  policy.least = 8;
  EXPECT_EQ(trackedTarget(policy, 10, 0.0), 8);
}

}  // namespace
}  // namespace okibi::conductor
