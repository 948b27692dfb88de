#pragma once
// The records of the ledger log. Each of InvocationRecord, IntervalRecord and IdleRecord can be
// billed and shown by itself, so that folding them keeps no state; the others exist so that
// intervals that were open when the daemon died can be closed (ledger/recovery.h).
//
// Instants are of the daemon run that wrote them: compare them only among records of one instance.

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/units.h"
#include "ledger/moment.h"
#include "ledger/usage.h"
#include "model/function.h"

namespace okibi::ledger {

// Which active interval of which instance a request belongs to.
struct IntervalPlace {
  std::string instance;      // empty: the request never reached an instance
  std::uint64_t number = 0;  // counts the instance's intervals from 1
  Moment start{};            // of the interval
};
inline bool operator==(const IntervalPlace& a, const IntervalPlace& b) {
  return a.instance == b.instance && a.number == b.number && a.start.at == b.start.at &&
         a.start.wall == b.start.wall;
}

// A cold start by phase (docs/architecture.md section 2). `total` is measured by itself; the phases
// sum to it.
struct ColdPhases {
  Duration schedule{}, image{}, sandbox{}, app{}, init{};
  Duration sum() const { return schedule + image + sandbox + app + init; }
  bool operator==(const ColdPhases&) const = default;
};

enum class StartKind : std::uint8_t {
  Warm = 0,
  Cold = 1,
  Woken = 2
};  // Woken: from frozen or parked

enum class Outcome : std::uint8_t {
  Success = 0,
  FunctionError = 1,  // the function failed, crashed, timed out or ran out of memory; billed
  SystemError = 2,    // the platform's fault
  Refused = 3,        // quota, limits, not deployed; never reached an instance
  Cancelled = 4,      // the caller went away
};

// One answered invocation. Appended before the last byte of its answer leaves.
struct InvocationRecord {
  FunctionRef function;
  std::uint64_t revision = 0;
  std::string requestId;
  IntervalPlace place;
  WallTime received{};  // when the gateway had the request's head
  StartKind start = StartKind::Warm;
  ColdPhases phases;  // zero unless Cold
  // The most instances of the function that were starting while its own was; 0 unless Cold.
  int concurrentStarts = 0;
  Duration waited{};    // from received until it was given to an instance
  Duration duration{};  // from there to its end: the time the function had
  Duration share{};     // its part of the instance's active time (UsageMeter)
  Instant ended{};
  Outcome outcome = Outcome::Success;
  int status = 0;         // HTTP status of the answer
  std::string errorType;  // "InstanceExited", "InvocationTimeout"; empty on success
  Bytes bytesIn, bytesOut;
  std::string reason;  // the planner's short word: "started: all 2 instances busy"
  // What its instance was billed by, and its part of the bill (UsageMeter): the bills of an
  // interval's uses sum to the interval's usage. Empty before the record's second format.
  std::string gpuType;
  Bytes gpuMemory;
  std::optional<UnitPrice> gpuPrice;
  Usage bill;
  // Of its instance's configuration; 0 before the record's third format.
  int concurrency = 0;
  // How long its instance took to come up, and the initializer's part of that. On the first request
  // that an instance serves, so that each start is told once; else zero.
  Duration startTook{}, startInit{};
  bool operator==(const InvocationRecord&) const = default;
};

enum class Closing : std::uint8_t {
  Measured = 0,   // its end was seen
  Recovered = 1,  // the daemon died; the end is the last sign of life on the log
};

// One active interval of an instance, complete.
struct IntervalRecord {
  InstanceTerms terms;
  std::uint64_t number = 0;
  WallTime started{};
  Duration active{};  // exact
  Usage usage;        // what it is billed as; calls are counted by InvocationRecords, not here
  Closing closing = Closing::Measured;
  bool operator==(const IntervalRecord&) const = default;
};

struct InstanceOpened {
  InstanceTerms terms;
  WallTime opened{};
  bool operator==(const InstanceOpened&) const = default;
};

// A sign of life of one open interval; written at least each second while it is open.
struct Heartbeat {
  IntervalPlace place;
  Instant alive{};
  bool operator==(const Heartbeat&) const = default;
};

struct InstanceClosed {
  InstanceTerms terms;  // of the name alone before the record's fourth format
  WallTime opened{}, closed{};
  std::string reason;  // "idle timeout", "crashed: signal 9", "the daemon ended"
  bool operator==(const InstanceClosed&) const = default;
};

// Written by the log itself: all bytes of the segment before `offset` have reached the disk.
struct DurableMark {
  std::uint64_t offset = 0;
  bool operator==(const DurableMark&) const = default;
};

// Time that a kept instance rested, since the last such record of it. Complete in itself; what is
// not on the log when the daemon dies is not billed.
struct IdleRecord {
  InstanceTerms terms;
  WallTime started{};
  Duration idle{};     // whole milliseconds, not all of them in one piece
  UnitPrice gpuPrice;  // per GB of the slice and idle second
  bool operator==(const IdleRecord&) const = default;
};

using Record = std::variant<InvocationRecord, IntervalRecord, InstanceOpened, Heartbeat,
                            InstanceClosed, DurableMark, IdleRecord>;
using Records = std::vector<Record>;

}  // namespace okibi::ledger
