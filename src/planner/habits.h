#pragma once
// What the planner remembers of one function's arrivals, for KeepAlivePolicy::Learned and
// Histogram. Bounded; made with the function's first request.

#include <array>
#include <optional>

#include "planner/arrival_model.h"
#include "planner/idle_histogram.h"

namespace okibi::planner {

struct Habits {
  // Learned
  Rates rates;
  double startSeconds = 0;  // what a start took, averaged
  bool hasStarted = false;
  // Idle times of instances that were given up before they were wanted again, the last one last:
  // the next start tells how long it would have taken.
  struct Ghost {
    Instant idleSince;
    ArrivalModel::Class idleClass = 0;
  };
  static constexpr std::size_t kGhosts = 4;
  std::array<Ghost, kGhosts> ghosts;
  std::size_t ghostCount = 0;

  // Histogram
  std::optional<IdleHistogram> histogram;
  std::optional<Instant> idleSince;   // nothing in flight or queued
  std::optional<Instant> keepUntil;   // of the window in which a request is expected
  std::optional<Instant> startAhead;  // armed timer
};

}  // namespace okibi::planner
