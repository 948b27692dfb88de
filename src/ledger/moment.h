#pragma once
// One moment on both clocks: the monotonic one that durations are measured on and the civil one
// that records and days are named by. Whoever owns the clocks reads both at once and hands them
// down.

#include "base/units.h"

namespace okibi::ledger {

struct Moment {
  Instant at;
  WallTime wall;
};

}  // namespace okibi::ledger
