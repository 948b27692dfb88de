#pragma once
// Waiting between two questions to the daemon.

#include "base/units.h"

namespace okibi::cli {

void pauseFor(Duration time);

}  // namespace okibi::cli
