#pragma once
// Packing a list of pods on a list of nodes, as the FGD authors measure it: the list shuffled, pods
// drawn again until so much is asked for, placed one by one, none leaves.

#include <string>
#include <vector>

#include "base/result.h"
#include "planner/packing.h"

namespace okibi::sim {

struct PackingLists {
  std::vector<planner::PackNode> nodes;
  std::vector<planner::PackDemand> pods;

  // CSV files of the openb trace's columns: sn, cpu_milli, memory_mib, gpu, model; name, cpu_milli,
  // memory_mib, num_gpu, gpu_milli[, gpu_spec].
  static Result<PackingLists> read(const std::string& nodes, const std::string& pods);
};

// In percent of the nodes' cards.
struct PackingResult {
  double alloc100 = 0, alloc130 = 0;  // allocated when 100 / 130 are asked for
  double frag100 = 0;
};

// The most frequent shapes of CPU and cards that make up 95% of the list; or all shapes, of memory
// and allowed models too: large demands are rare in number.
enum class Shape { Plain, Full };
std::vector<planner::TypicalDemand> typicalOf(const std::vector<planner::PackDemand>& pods,
                                              Shape shape);

PackingResult pack(const PackingLists& lists, planner::PackPolicy policy, std::uint64_t seed);

// "random", "bestfit", "fgd", "okibi".
Result<planner::PackPolicy> parsePackPolicy(std::string_view name);

}  // namespace okibi::sim
