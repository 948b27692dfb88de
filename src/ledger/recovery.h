#pragma once
// After a crash: instances died with the daemon, their open intervals end at the last sign of life.

#include "ledger/record.h"

namespace okibi::ledger {

// The records that close what the last segment leaves open: for each instance without
// InstanceClosed, an IntervalRecord of its open interval (if any sign of it is on the log) and an
// InstanceClosed. The end of an interval is the later of its last Heartbeat and the last end of an
// answered invocation in it, so usage of answered invocations is exact and an unanswered one loses
// at most one heartbeat's distance. Appending the result makes recover() of the longer log empty:
// running it twice, or dying in the middle of it, bills nothing twice.
Records recover(const Records& lastSegment, WallTime now);

}  // namespace okibi::ledger
