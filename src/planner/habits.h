#pragma once
// What the planner remembers of one function's arrivals, for KeepAlivePolicy::Learned and
// Histogram. Bounded; made with the function's first request.

#include <array>
#include <optional>

#include "planner/arrival_history.h"
#include "planner/burst_model.h"
#include "planner/idle_histogram.h"
#include "planner/idle_watch.h"
#include "planner/rhythm.h"

namespace okibi::planner {

struct Habits {
  // Learned; about a kilobyte
  ArrivalHistory arrivals;
  double startSeconds = 0;  // what a start took, averaged
  int starts = 0;           // in that average
  // Idle times of instances that were given up and would not have been wanted yet; the last one is
  // taken first.
  static constexpr std::size_t kGhosts = 6;
  std::array<IdleWatch, kGhosts> ghosts;
  std::size_t ghostCount = 0;
  std::optional<Instant> ghostTimer;  // armed
  Rhythm rhythm;
  // The window in which a request is expected next, for which an instance is called at `call`.
  struct Expected {
    Instant call, ready, until;
    double chance = 0, worth = 0;  // Rhythm::Window
    bool begun = false;            // it was time to call
    bool held = false;             // worth its price, and nobody was there
  };
  std::optional<Expected> expected;
  // The newest requests that left nobody free, oldest first.
  std::array<BurstWatch, 6> bursts;
  std::size_t burstCount = 0;
  std::array<BurstModel::Rate, BurstModel::kLevels> burstRates;
  // What its pool's `ahead` was called for, where that is one more in a burst (bursts.cc).
  struct Spare {
    Instant called, until;
    bool parks = false;      // off its card again, as soon as it is there
    double worth = 0;        // in the price's unit
    double parkedWorth = 0;  // the same, once it is parked
  };
  std::optional<Spare> spare;
  bool newestWaits = false;  // the newest request would have waited in line, had nobody come ahead
  bool metAhead = false;     // the newest request came while an instance was held for it

  // Histogram
  std::optional<IdleHistogram> histogram;
  std::optional<Instant> idleSince;  // nothing in flight or queued
  std::optional<Instant> keepUntil;  // of the window in which a request is expected

  std::optional<Instant> startAhead;  // armed timer, of either
};

}  // namespace okibi::planner
