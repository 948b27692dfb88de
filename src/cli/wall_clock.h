#pragma once
// Civil time for the dates of signed requests: the client is a process of its own, without the
// daemon's clock.

#include "base/units.h"

namespace okibi::cli {

WallTime wallNow();

}  // namespace okibi::cli
