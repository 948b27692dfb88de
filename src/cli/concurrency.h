#pragma once
// How often calls were cold, by how many of their function were under way when they came: what
// shows whether more instances, or more requests per instance, would help.

#include <span>
#include <vector>

#include "base/units.h"

namespace okibi::cli {

struct CallTimes {
  WallTime received{};
  Duration total{};  // from then to its end
  enum class Start { Warm, Cold } start = Start::Warm;
};

struct ConcurrencyShare {
  int from = 1, to = 1;  // calls under way, the one that came among them; to 0: and more
  int calls = 0, cold = 0;
};

// Groups with calls in them only, ascending. All of one function.
std::vector<ConcurrencyShare> coldByConcurrency(std::span<const CallTimes> calls);

}  // namespace okibi::cli
