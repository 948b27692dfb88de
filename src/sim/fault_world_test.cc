// Many seeds; OKIBI_SEED=<n> runs that one, OKIBI_SEEDS=<n> so many from 1. The same as
// `okibi simulate --check --seed N`.

#include "sim/fault_world.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include <gtest/gtest.h>

namespace okibi::sim {
namespace {

std::uint64_t fromEnvironment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

// An OKIBI_CHECK inside the planner aborts: the seed is told on the way out.
std::uint64_t currentSeed = 0;
void tellSeed(int) {
  std::fprintf(stderr, "repeat with okibi simulate --check --seed %llu\n",
               static_cast<unsigned long long>(currentSeed));
  std::signal(SIGABRT, SIG_DFL);
}

TEST(FaultWorld, LawsHoldAndEverythingComesToRest) {
  const std::uint64_t only = fromEnvironment("OKIBI_SEED", 0);
  const std::uint64_t first = only ? only : 1;
  const std::uint64_t last = only ? only : fromEnvironment("OKIBI_SEEDS", 600);
  std::signal(SIGABRT, tellSeed);
  int dispatched = 0, woken = 0, ahead = 0, aheadLost = 0, contested = 0;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    currentSeed = seed;
    const CheckResult result = checkSeed(seed);
    ASSERT_EQ(result.violation, "") << "repeat with okibi simulate --check --seed " << seed;
    dispatched += result.dispatched;
    woken += result.woken;
    ahead += result.ahead;
    aheadLost += result.aheadLost;
    contested += result.contested;
  }
  // The worlds must not be so hostile that nothing is tested.
  EXPECT_GT(dispatched, only ? -1 : static_cast<int>(last) * 10);
  EXPECT_GT(woken, only ? -1 : static_cast<int>(last) / 4);
  // Where timers call, instances come before they do, and meet faults on the way.
  EXPECT_GT(ahead, only ? -1 : static_cast<int>(last) / 3);
  EXPECT_GT(aheadLost, only ? -1 : static_cast<int>(last) / 30);
  // Where it is crowded, somebody waits when another is served.
  EXPECT_GT(contested, only ? -1 : static_cast<int>(last) * 2);
}

// Found beyond the first few hundred: who is parked was not woken while starts failed; an instance
// called back was stopped with a card it did not have; one started ahead waited for the quota; what
// was promised to a start for the minimum went to a parked one, and nobody noted what was missing;
// a request was expected of a function that had been retired; the checker took one that was woken
// in place of a start for another slice, and those served earlier in a step for waiting still.
TEST(FaultWorld, SeedsThatOnceBrokeALaw) {
  std::signal(SIGABRT, tellSeed);
  for (std::uint64_t seed : {4011, 37519, 71007, 84880, 100897, 517144, 668474, 735673, 1197497,
                             822454, 886310, 10164}) {
    currentSeed = seed;
    EXPECT_EQ(checkSeed(seed).violation, "")
        << "repeat with okibi simulate --check --seed " << seed;
  }
}

TEST(FaultWorld, ASeedIsAlwaysTheSameWorld) {
  for (std::uint64_t seed : {7, 8, 9}) {
    const CheckResult first = checkSeed(seed), second = checkSeed(seed);
    EXPECT_EQ(first.steps, second.steps);
    EXPECT_EQ(first.dispatched, second.dispatched);
  }
}

}  // namespace
}  // namespace okibi::sim
