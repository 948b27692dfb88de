#pragma once
// Everything that will happen by time alone, in order; ties by kind, then id.

#include <cstdint>
#include <optional>
#include <set>

#include "base/check.h"
#include "base/units.h"

namespace okibi::planner {

enum class TimerKind {
  Deadline,    // of a queued request; id: InvocationId
  Yield,       // a function has waited long for capacity; id: FunctionKey
  Ripe,        // a queued request has waited in line as long as it may; id: FunctionKey
  Starts,      // an account may start another instance; id: Account::id
  StartAhead,  // a request of a function is expected; id: FunctionKey
  Minimum,     // starts for the minimum failed and may be tried again; id: FunctionKey
  Ghost,       // an idle time without its instance reached a step (IdleWatch); id: FunctionKey
  Idle,        // an instance may be due for freeze or release; id: InstanceId
};

struct Timer {
  Instant time;
  TimerKind kind = TimerKind::Deadline;
  std::uint64_t id = 0;
  auto operator<=>(const Timer&) const = default;
};

class TimerSet {
 public:
  void add(const Timer& timer) {
    OKIBI_CHECK(timers_.insert(timer).second, "timer kind {} of {} twice",
                static_cast<int>(timer.kind), timer.id);
  }
  void remove(const Timer& timer) {
    OKIBI_CHECK(timers_.erase(timer) == 1, "timer kind {} of {} is not set",
                static_cast<int>(timer.kind), timer.id);
  }
  bool contains(const Timer& timer) const { return timers_.contains(timer); }
  bool empty() const { return timers_.empty(); }
  std::size_t size() const { return timers_.size(); }
  // REQUIRES: !empty()
  const Timer& earliest() const { return *timers_.begin(); }

  // Takes out the earliest timer that is due.
  std::optional<Timer> takeDue(Instant now) {
    if (timers_.empty() || timers_.begin()->time > now) return std::nullopt;
    return timers_.extract(timers_.begin()).value();
  }

 private:
  std::set<Timer> timers_;
};

}  // namespace okibi::planner
