#pragma once
// One idle time, followed step by step (idle_steps.h) so that it teaches the model: of an instance,
// or of one that was given up and would still be there (what it would have served is learned too).

#include "planner/idle_steps.h"
#include "planner/return_model.h"

namespace okibi::planner {

struct IdleWatch {
  Instant since;
  std::size_t step = 0;  // it stands in this one
  bool seen = false;     // `signs` are those of this step
  ReturnModel::Signs signs;
  double worst = 1;        // returns per second: the least that holding it has promised so far
  double worstOnCard = 1;  // the same, on its card rather than called back in time
  // How long the model holds it, from `since` on; max: until it is not worth its price.
  Duration onCard = Duration::max(), kept = Duration::max();

  bool over() const { return step >= kIdleSteps; }
  Instant nextEdge() const { return over() ? Instant::max() : since + idleEdge(step + 1); }
};

}  // namespace okibi::planner
