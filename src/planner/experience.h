#pragma once
// What the planner has seen of one function's times: how long its requests take on an instance, how
// long a start and a wake take. Whole nanoseconds, a few words per function, the same on every
// machine; made with the first thing seen.

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/units.h"

namespace okibi::planner {

// A mean that forgets: exact over the first kMemory samples, then each new one counts 1 / kMemory.
class TimeEstimate {
 public:
  void learn(Duration sample) {
    count_ = std::min(count_ + 1, kMemory);
    mean_ += (sample - mean_) / count_;
  }
  int samples() const { return count_; }
  // nullopt: fewer than `least` samples, so nothing is said.
  std::optional<Duration> after(int least) const {
    if (count_ < least) return std::nullopt;
    return mean_;
  }

 private:
  static constexpr int kMemory = 16;
  Duration mean_{};
  int count_ = 0;
};

struct Experience {
  TimeEstimate service, start, wake;
};

}  // namespace okibi::planner
