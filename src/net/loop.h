#pragma once
// Loop: the event loop. One thread calls run(); tasks, timers and callbacks of a loop run on that
// thread only, so nothing on it needs a lock. Only post(), stop() and workers behind offload()
// touch other threads.
//
// A Loop is destroyed after run() has returned, and before the things its remaining tasks refer to:
// the destructor waits for the workers and then drops every unfinished task.

#include <functional>
#include <memory>
#include <optional>
#include <type_traits>

#include "base/units.h"
#include "net/task.h"

namespace okibi::net {

class VirtualClock;  // net/virtual_clock.h

class Loop {
 public:
  // `workers`: threads for offload(), started at the first use. `clock`: for tests; null is the
  // machine's monotonic clock.
  explicit Loop(int workers = 4, VirtualClock* clock = nullptr);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Runs on the calling thread until stop(). May be called again after it returned.
  void run();
  // Any thread. run() returns soon; unfinished tasks stay suspended.
  void stop();

  // The loop's clock, on okibi's time line.
  Instant now() const;

  // Starts a task that nobody awaits. It begins in a later turn of the loop. Ends the process if
  // the task ends with an exception (other than the unwinding of a cancelled task).
  void spawn(Task<void> task);

  // Any thread. Calls `fn` on the loop thread in a later turn, in order of posting.
  void post(std::move_only_function<void()> fn);

  // Calls `fn` on the loop thread each time `signal` arrives. One handler per signal; a later one
  // replaces the former. SIGCHLD is not for this (use a pidfd).
  void onSignal(int signal, std::function<void()> fn);

  // Sleeps; not for polling what can be awaited.
  Task<void> sleep(Duration duration);
  Task<void> sleepUntil(Instant time);

  // Runs `work` on a worker thread and resumes here with what it returned (move-only results are
  // fine). For blocking calls only: SQLite, unpacking, waiting for a process. Not cancellable: the
  // task waits for the worker. An exception from `work` ends the process.
  template <typename F>
  auto offload(F work) -> Task<std::invoke_result_t<F&>> {
    using R = std::invoke_result_t<F&>;
    if constexpr (std::is_void_v<R>) {
      co_await offloadErased([&work] { work(); });
    } else {
      std::optional<R> result;
      co_await offloadErased([&work, &result] { result.emplace(work()); });
      co_return std::move(*result);
    }
  }

  // For net's own sources: the Asio context and helpers.
  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  Task<void> offloadErased(std::function<void()> work);

  std::unique_ptr<Impl> impl_;
};

// One alarm. Loop thread only. Destroying it cancels it.
class Timer {
 public:
  explicit Timer(Loop& loop);
  ~Timer();
  Timer(Timer&&) noexcept;
  Timer& operator=(Timer&&) noexcept;

  // Calls `fn` once at `when` (at once in a later turn if that has passed). Replaces an earlier
  // schedule.
  void schedule(Instant when, std::move_only_function<void()> fn);
  // After this returns the scheduled function is never called.
  void cancel();
  bool scheduled() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace okibi::net
