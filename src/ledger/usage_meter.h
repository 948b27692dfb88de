#pragma once
// UsageMeter: when were instances active? An instance is active while at least one use (a request
// or a lifecycle hook) is on it; overlap counts once. Pure: told the time, it writes nothing, it
// appends the records it makes to `out` and the caller puts them on the log.
//
// Exactness (law 6): all times are whole nanoseconds. The time between two events of an instance is
// divided evenly among the uses on it; what does not divide goes, one nanosecond each, to the
// oldest. A share therefore depends on the past only, is final when its use ends, and the shares of
// all uses of an interval sum to the interval exactly.
//
// Bills are exact in the same way: a request that ends is billed what the interval would be billed
// if it ended now, less what the requests before it were. So rounding up (GPU: 1 s) is paid by the
// request that goes over it, a hook by the request that ends next in its interval, and the bills of
// all requests of an interval, with what a hook at its end adds, sum to the interval's usage.
//
// An interval ends when the last use ends. A use that begins later, even at the same instant, opens
// a new one, and rounding (GPU: 1 s) is per interval: begin the next use before ending the last
// where they belong together.
//
// On the log when an invocation is answered: all that endRequest() puts into `out`, by one
// LedgerLog::append, before the last byte of the answer leaves.
//
// One thread. Broken use (unknown ids, time going backwards) is a programmer error and checked.

#include <map>
#include <string>

#include "base/ids.h"
#include "base/units.h"
#include "ledger/moment.h"
#include "ledger/record.h"
#include "ledger/usage.h"

namespace okibi::ledger {

using UseId = Id<struct UseTag>;

enum class UseKind { Request, Hook };

class UsageMeter {
 public:
  // A new instance. Its name must not be open.
  void openInstance(InstanceTerms terms, Moment now, Records& out);

  // A request reached the instance, or a hook was started on it. REQUIRES: the instance is open.
  UseId begin(const std::string& instance, UseKind kind, Moment now);

  // Ends a request: fills place, duration, share, ended, bill and what was billed by of `record`,
  // appends it to `out` and after it the IntervalRecord if the interval closed with it. Also legal
  // after the instance was closed: then the figures are of the moment of closing.
  void endRequest(UseId use, InvocationRecord record, Moment now, Records& out);

  // Ends a hook; returns its share.
  Duration endHook(UseId use, Moment now, Records& out);

  // The instance is gone. Uses still on it stop counting now; each must still be ended once.
  void closeInstance(const std::string& instance, std::string reason, Moment now, Records& out);

  // From now on (`kept`) the time without uses is idle time, or no longer. `gpuPrice`: of idle
  // time.
  void keepIdle(const std::string& instance, bool kept, UnitPrice gpuPrice, Moment now,
                Records& out);
  // Idle time so far, of instances that have `least` of it.
  void billIdle(Moment now, Duration least, Records& out);
  // Ends intervals that are open for `least` at their last whole second and goes on in a new one,
  // so that long ones are on the bill while they last. No bill changes: a whole second is not
  // rounded, and what uses have not been billed of the first part they are billed of the second.
  void split(Moment now, Duration least, Records& out);

  // A Heartbeat for each open interval. Call at least each second and append the result.
  void heartbeat(Moment now, Records& out) const;

  // What a new log segment must begin with: InstanceOpened of each open instance, then heartbeat().
  Records preamble(Moment now) const;

  std::size_t openInstances() const { return instances_.size(); }
  std::size_t openUses() const { return uses_.size(); }
  // Intervals of an open instance begun so far: the open or newest one's number.
  std::uint64_t intervals(const std::string& instance) const;
  // Active time of an open instance so far, closed intervals and the open one.
  Duration activeTime(const std::string& instance, Instant now) const;
  // Idle time of an open instance so far, billed or not.
  Duration idleTime(const std::string& instance, Instant now) const;

 private:
  struct Use {
    std::string instance;
    UseKind kind = UseKind::Request;
    IntervalPlace place;
    Instant began{}, ended{};  // ended: set when `stopped`
    Duration share{};
    Usage bill;
    std::string gpuType;
    Bytes gpuMemory;
    std::optional<UnitPrice> gpuPrice;
    bool stopped = false;
  };
  struct Instance {
    InstanceTerms terms;
    WallTime opened{};
    std::uint64_t intervals = 0;  // begun so far
    Moment intervalStart{};
    Instant settled{};  // shares are distributed up to here
    Duration closedActive{};
    Usage billed;             // to requests of the open interval that have ended
    std::vector<UseId> uses;  // on it now, oldest first
    bool keptIdle = false;
    UnitPrice idlePrice;
    Instant idleSettled{};  // idle time is counted up to here, if there is no use
    Duration idle{};        // counted and not billed
    Duration idleBilled{};
    WallTime idleFrom{};  // when `idle` began
  };

  Instance& instanceAt(const std::string& name);
  void settle(Instance& instance, Instant now);
  void endUse(Instance& instance, Use& use, Instant now);
  void closeInterval(Instance& instance, Records& out);
  static void settleIdle(Instance& instance, Moment now);
  static void takeIdle(Instance& instance, WallTime now, Records& out);
  Use take(UseId id, UseKind kind, Moment now, Records& interval);

  std::map<std::string, Instance> instances_;
  std::map<UseId, Use> uses_;
  std::uint64_t lastUse_ = 0;
};

}  // namespace okibi::ledger
