#pragma once
// What tasks of one loop wait for: Event (may be set and reset) and OneShot<T> (a value that
// arrives once). Loop thread only; to signal from another thread, Loop::post. One waiter at a time
// (asserted). They must outlive their waiter, except one that is dropped together with its loop.

#include <memory>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/result.h"
#include "base/units.h"
#include "net/loop.h"
#include "net/task.h"

namespace okibi::net {

class Event {
 public:
  explicit Event(Loop& loop);
  ~Event();
  Event(Event&&) noexcept;
  Event& operator=(Event&&) noexcept;

  // Wakes the waiter, now or when it comes. Stays set until reset().
  void set();
  void reset();
  bool isSet() const;
  // Ends a wait, now or when it comes, with Cancelled. Final.
  void cancel();

  // Returns once set. Errors: TimedOut at `deadline`, Cancelled.
  Task<Result<void>> wait(Instant deadline = Instant::max());

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with the wait in flight
};

template <typename T>
class OneShot {
 public:
  explicit OneShot(Loop& loop) : event_(loop) {}

  // Gives the value. REQUIRES: not given before. Has no effect after cancel().
  void set(T value) {
    OKIBI_CHECK(!event_.isSet(), "a OneShot is set once");
    value_.emplace(std::move(value));
    event_.set();
  }
  bool isSet() const { return event_.isSet(); }
  // The waiter gets Cancelled, now or when it comes.
  void cancel() { event_.cancel(); }

  // Awaited once. Errors: TimedOut at `deadline` (a value set later is dropped), Cancelled.
  Task<Result<T>> wait(Instant deadline = Instant::max()) {
    Result<void> woken = co_await event_.wait(deadline);
    if (!woken) co_return fail(std::move(woken.error()));
    co_return std::move(*value_);
  }

 private:
  Event event_;
  std::optional<T> value_;
};

}  // namespace okibi::net
