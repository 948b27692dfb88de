#pragma once
// Inside of Loop, for net's own sources.

#include <chrono>
#include <functional>
#include <map>
#include <memory>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>

#include "base/units.h"
#include "net/hangup_watch_impl.h"
#include "net/loop.h"
#include "net/virtual_clock.h"

namespace okibi::net {

// Awaiting an Asio operation gives (error_code, results…) and throws nothing.
inline constexpr auto asTuple = boost::asio::as_tuple(boost::asio::deferred);

inline std::chrono::steady_clock::time_point toAsio(Instant instant) {
  return std::chrono::steady_clock::time_point(instant.time_since_epoch());
}

struct Loop::Impl {
  Impl(int count, VirtualClock* time) : workerCount(count), clock(time) { hangups.attach(context); }
  ~Impl() { hangups.detach(); }

  boost::asio::thread_pool& pool() {
    if (!workers) workers = std::make_unique<boost::asio::thread_pool>(workerCount);
    return *workers;
  }

  struct SignalHandler {
    explicit SignalHandler(boost::asio::io_context& context, int signal) : set(context, signal) {}
    boost::asio::signal_set set;
    std::function<void()> fn;
  };
  void awaitSignal(SignalHandler& handler);

  void runVirtually();
  bool settled();

  int workerCount;
  VirtualClock* clock;  // null: the real one
  int offloaded = 0;    // works that a worker has and that are not back
  HangupWatch hangups;  // outlives the context and the tasks dropped with it
  boost::asio::io_context context{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard{
      context.get_executor()};
  std::map<int, SignalHandler> signals;
  std::unique_ptr<boost::asio::thread_pool> workers;
};

// One waitable instant on the loop's clock: what everything that waits in net is made of.
class Alarm {
 public:
  explicit Alarm(Loop& loop) : clock_(loop.impl().clock), timer_(loop.impl().context) {}
  ~Alarm() { unset(); }
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;

  // Cancels waits in flight.
  void set(Instant when);
  void wake() { timer_.cancel(); }
  // Ends at the instant or at wake(); which of them it was, the clock says.
  template <typename Token>
  auto wait(Token&& token) {
    return timer_.async_wait(std::forward<Token>(token));
  }

 private:
  void unset() {
    if (clock_ != nullptr) clock_->alarms_.erase({when_, this});
  }

  VirtualClock* clock_;
  boost::asio::steady_timer timer_;
  Instant when_{};
};

}  // namespace okibi::net
