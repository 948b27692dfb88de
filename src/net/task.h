#pragma once
// Task<T>: a coroutine that runs on a Loop and gives one T. This is the only public header that
// shows Boost.
//
// A task does nothing until it is awaited or handed to Loop::spawn. Reference arguments must live
// until the task is done. Expected failures are a Result in T. The one exception a task may end
// with is the unwinding of a cancelled task (withDeadline, net/deadline.h): it passes through every
// frame, runs the destructors and never reaches the caller of withDeadline, so clean-up belongs in
// destructors.

#include <boost/asio/awaitable.hpp>

namespace okibi::net {

template <typename T>
using Task = boost::asio::awaitable<T>;

}  // namespace okibi::net
