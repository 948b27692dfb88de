#pragma once
// What one run of a workload under one policy came to. Grows with functions, not with requests.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/units.h"
#include "planner/command.h"
#include "sim/wait_histogram.h"

namespace okibi::sim {

// What an instance does with its time.
enum class Use { Starting, Busy, Idle, Parked };
inline constexpr std::size_t kUses = 4;

struct FunctionTally {
  std::uint32_t requests = 0, cold = 0, woken = 0, refused = 0;
};

struct Tally {
  // Weighted by what the function stands for (WorkloadFunction::weight).
  double requests = 0, warm = 0, woken = 0, cold = 0, refused = 0;
  double refusedEarly = 0;                 // of those: at once, by what was expected
  std::map<std::string, double> refusals;  // by reason
  WaitHistogram waits;                     // of requests that were served
  double seconds[kUses] = {};              // instance seconds
  double gbSeconds[kUses] = {};            // times the slice: of the card, parked: of host memory
  std::int64_t starts = 0, startsAhead = 0, wakes = 0, wakesAhead = 0, parks = 0;
  std::int64_t madeRoom = 0;  // instances given up or parked early for others
  int live = 0, peak = 0;     // instances that hold a card
  std::vector<FunctionTally> functions;

  double coldShare() const { return requests > 0 ? cold / requests : 0; }
  double wokenShare() const { return requests > 0 ? woken / requests : 0; }
  double in(Use use) const { return seconds[static_cast<std::size_t>(use)]; }
  double gbIn(Use use) const { return gbSeconds[static_cast<std::size_t>(use)]; }
  // The share of its requests that met a cold start, at the function that stands at `share` of all
  // functions (by weight), worst last.
  double coldShareOfFunctionAt(double share, const std::vector<double>& weights) const;
  double alwaysColdFunctions(const std::vector<double>& weights) const;  // share of functions
};

}  // namespace okibi::sim
