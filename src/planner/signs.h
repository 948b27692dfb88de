#pragma once
// What the models that learn from arrivals make of numbers: a few coarse classes.

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "planner/idle_steps.h"

namespace okibi::planner {

inline constexpr double kHour = 3600, kDay = 86400;  // seconds

// 0 up to `base`, then one more for each doubling; below `size`.
inline std::size_t doublings(double value, double base, std::size_t size) {
  if (value <= base) return 0;
  return std::min(1 + static_cast<std::size_t>(std::ilogb(value / base)), size - 1);
}

// Of the day, in hours.
inline double hourOfDay(Instant now) {
  return std::fmod(toSeconds(now.time_since_epoch()), kDay) / kHour;
}

}  // namespace okibi::planner
