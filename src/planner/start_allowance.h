#pragma once
// How fast an account may start instances: `burst` at once, then `growth` per minute (Function
// Compute's limits on scaling, Function Compute: limits). A bucket of `burst` starts, filled at
// that rate, in whole numbers.

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/units.h"

namespace okibi::planner {

class StartAllowance {
 public:
  // Burst 0: no limit. What has been used stays used.
  void grant(int burst, int growth, Instant now = {}) {
    const std::int64_t used = kOne * burst_ - creditAt(now);
    at_ = now;
    burst_ = burst;
    growth_ = growth;
    credit_ = std::clamp<std::int64_t>(kOne * burst - used, 0, kOne * burst);
  }
  bool unlimited() const { return burst_ == 0; }
  int burst() const { return burst_; }
  int growth() const { return growth_; }

  // Whole starts left.
  int left(Instant now) const { return static_cast<int>(creditAt(now) / kOne); }
  bool has(Instant now) const { return unlimited() || left(now) > 0; }
  // REQUIRES: has(now)
  void take(Instant now) {
    if (unlimited()) return;
    credit_ = creditAt(now) - kOne;
    at_ = now;
  }
  // When so many starts are there (or as many as there can be); nullopt: they are, or never.
  std::optional<Instant> nextAt(Instant now, int wanted) const {
    const std::int64_t lacking = kOne * std::min(wanted, burst_) - creditAt(now);
    if (lacking <= 0 || growth_ == 0) return std::nullopt;
    return now + Duration((lacking + growth_ - 1) / growth_);
  }

 private:
  // One start; so that each nanosecond brings `growth` parts of it.
  static constexpr std::int64_t kOne = Duration(std::chrono::minutes(1)).count();

  std::int64_t creditAt(Instant now) const {
    const std::int64_t full = kOne * burst_;
    if (growth_ == 0) return credit_;
    const std::int64_t passed = (now - at_).count();
    if (passed > full / growth_) return full;
    return std::min(full, credit_ + passed * growth_);
  }

  int burst_ = 0, growth_ = 0;
  std::int64_t credit_ = 0;  // at `at_`
  Instant at_{};
};

}  // namespace okibi::planner
