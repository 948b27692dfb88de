#pragma once
// The idle times of one function in bins of a minute, and the window they suggest: when to have an
// instance again, and until when to keep it. The hybrid histogram of "Serverless in the Wild"
// (ATC'20) without its ARIMA part; kept as the literature's baseline.

#include <cstdint>
#include <vector>

#include "base/units.h"

namespace okibi::planner {

class IdleHistogram {
 public:
  // Idle times beyond `range` only count as such.
  explicit IdleHistogram(Duration range);

  // Times since the function became idle. `from` zero: keep the instance; else end it at once and
  // have one again at `from`.
  struct Window {
    Duration from{}, until{};
  };
  Window window() const;
  void learn(Duration idle);

 private:
  std::vector<std::uint32_t> bins_;
  double sum_ = 0, squares_ = 0, beyond_ = 0;
};

}  // namespace okibi::planner
