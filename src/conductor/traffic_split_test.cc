#include "conductor/traffic_split.h"

#include <map>

#include <gtest/gtest.h>

#include "base/random.h"

namespace okibi::conductor {
namespace {

Alias aliasOf(std::map<std::string, std::int64_t> additional) {
  Alias alias;
  alias.versionId = "main";
  alias.additional = std::move(additional);
  return alias;
}

TEST(TrafficSplit, TenPercentIsOneOfAnyTen) {
  TrafficSplit split(aliasOf({{"canary", 100'000}}));
  std::string seen;
  for (int i = 0; i < 1000; ++i) seen += split.next() == "canary" ? 'c' : 'm';
  for (std::size_t at = 0; at + 10 <= seen.size(); ++at) {
    const std::string window = seen.substr(at, 10);
    ASSERT_EQ(std::count(window.begin(), window.end(), 'c'), 1) << at;
  }
}

TEST(TrafficSplit, AMillionRequestsAreSplitToTheMillionth) {
  TrafficSplit split(aliasOf({{"a", 333'333}, {"b", 1}}));
  std::map<std::string, int> counts;
  for (std::int64_t i = 0; i < TrafficSplit::kWhole; ++i) ++counts[split.next()];
  EXPECT_EQ(counts["a"], 333'333);
  EXPECT_EQ(counts["b"], 1);
  EXPECT_EQ(counts["main"], 666'666);
}

TEST(TrafficSplit, NothingAndEverything) {
  TrafficSplit nothing(aliasOf({{"canary", 0}}));
  TrafficSplit everything(aliasOf({{"canary", 1'000'000}}));
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(nothing.next(), "main");
    EXPECT_EQ(everything.next(), "canary");
  }
}

// At no time has a version had one request more or less than its exact share, for two versions.
TEST(TrafficSplit, NeverFarFromTheExactShare) {
  Random random(7);
  for (int round = 0; round < 50; ++round) {
    const std::int64_t weight = random.between(0, TrafficSplit::kWhole);
    TrafficSplit split(aliasOf({{"canary", weight}}));
    std::int64_t given = 0;
    for (std::int64_t n = 1; n <= 500; ++n) {
      if (split.next() == "canary") ++given;
      ASSERT_LE(std::abs(given * TrafficSplit::kWhole - n * weight), TrafficSplit::kWhole);
    }
  }
}

}  // namespace
}  // namespace okibi::conductor
