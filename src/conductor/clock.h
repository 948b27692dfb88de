#pragma once
// The real clock. The only place that reads civil time; monotonic time is the loop's (net/loop.h).

#include "base/units.h"
#include "ledger/moment.h"
#include "net/loop.h"

namespace okibi::conductor {

WallTime wallNow();
ledger::Moment momentNow(const net::Loop& loop);

}  // namespace okibi::conductor
