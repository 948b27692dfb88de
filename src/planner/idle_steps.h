#pragma once
// The moments of an idle time at which it is looked at again: after 4 s, then each time at 1.41
// times the last. Step i lies between edges i and i+1.

#include <array>
#include <cmath>
#include <cstddef>

#include "base/units.h"

namespace okibi::planner {

inline constexpr std::size_t kIdleSteps = 31;
// Seconds; the last one is 36 hours: after it nobody looks any more.
inline constexpr std::array<double, kIdleSteps + 1> kIdleEdges = [] {
  std::array<double, kIdleSteps + 1> edges{};
  double edge = 4;
  for (std::size_t i = 1; i <= kIdleSteps; ++i) {
    edges[i] = edge;
    edge *= 1.4142135623730951;
  }
  return edges;
}();

inline double toSeconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}
inline Duration fromSeconds(double seconds) {
  return Duration(std::llround(seconds * 1e9));
}
inline Duration idleEdge(std::size_t edge) {
  return fromSeconds(kIdleEdges[edge]);
}

}  // namespace okibi::planner
