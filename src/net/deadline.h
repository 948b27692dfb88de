#pragma once
// withDeadline: a task raced against the clock. At the deadline the task is cancelled, its wait
// ends, its frames unwind (destructors run), and only then does withDeadline return TimedOut. A
// task inside offload() finishes that first. Costs two spawned coroutines: for operations, not for
// pieces of a body (those have Socket::cancel and the server's own stall limits).

#include <optional>
#include <utility>

#include "base/result.h"
#include "base/units.h"
#include "net/loop.h"
#include "net/task.h"

namespace okibi::net {

namespace internal {

enum class RaceEnd { Finished, DeadlinePassed };
Task<RaceEnd> raceWithDeadline(Loop& loop, Task<void> task, Instant deadline);

template <typename T>
Task<void> keepResult(Task<T> task, std::optional<T>& result) {
  result.emplace(co_await std::move(task));
}

inline std::unexpected<Error> deadlinePassed() {
  return fail(ErrorKind::TimedOut, "the deadline passed");
}

}  // namespace internal

// A result that arrived in the same turn as the deadline counts as arrived.
template <typename T>
Task<Result<T>> withDeadline(Loop& loop, Task<Result<T>> task, Instant deadline) {
  std::optional<Result<T>> result;
  co_await internal::raceWithDeadline(loop, internal::keepResult(std::move(task), result),
                                      deadline);
  if (!result) co_return internal::deadlinePassed();
  co_return std::move(*result);
}

inline Task<Result<void>> withDeadline(Loop& loop, Task<void> task, Instant deadline) {
  internal::RaceEnd end = co_await internal::raceWithDeadline(loop, std::move(task), deadline);
  if (end == internal::RaceEnd::DeadlinePassed) co_return internal::deadlinePassed();
  co_return Result<void>();
}

}  // namespace okibi::net
