// The only source with Asio's `||` and `&&` on tasks: they take long to compile.
#include <boost/asio/experimental/awaitable_operators.hpp>

#include "net/both.h"
#include "net/deadline.h"

namespace okibi::net {

using namespace boost::asio::experimental::awaitable_operators;

namespace internal {

Task<RaceEnd> raceWithDeadline(Loop& loop, Task<void> task, Instant deadline) {
  auto winner = co_await (std::move(task) || loop.sleepUntil(deadline));
  co_return winner.index() == 0 ? RaceEnd::Finished : RaceEnd::DeadlinePassed;
}

}  // namespace internal

Task<void> both(Loop&, Task<void> first, Task<void> second) {
  co_await (std::move(first) && std::move(second));
}

}  // namespace okibi::net
