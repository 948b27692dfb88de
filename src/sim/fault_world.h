#pragma once
// One seed makes one world: fleet, functions, traffic (in one of sixteen worlds called by timers,
// so that instances come ahead of requests; in another one crowded, so that weights say who is
// served next) and faults (starts that fail or take long, crashes, ailing instances, lost cards, a
// lost runtime, parks and wakes that fail, late clocks, callers that leave) are drawn from it.
// After every step the planner's own invariants and the outside LawChecker are consulted, and all
// use of instances is metered and held against law 6; then the faults stop, and everything must
// come to rest at zero.

#include <cstdint>
#include <string>

namespace okibi::sim {

struct CheckResult {
  std::string violation;  // the first law broken, in words; empty: all held
  int steps = 0, dispatched = 0, woken = 0;
  // Instances started or woken for a request that was expected; those of them that were lost to a
  // fault, or taken away, before anybody used them.
  int ahead = 0, aheadLost = 0;
  int contested = 0;  // instances started while functions waited for cards
};

// A broken invariant inside the planner ends the process (base/check.h).
CheckResult checkSeed(std::uint64_t seed);

}  // namespace okibi::sim
