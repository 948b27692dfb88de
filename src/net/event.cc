#include "net/event.h"

#include <boost/asio/steady_timer.hpp>

#include "net/loop_impl.h"

namespace okibi::net {

struct Event::State {
  explicit State(Loop& loop) : timer(loop.impl().context) {}
  boost::asio::steady_timer timer;  // set() and cancel() wake the waiter by cancelling it
  bool set = false;
  bool cancelled = false;
  bool waiting = false;
};

namespace {

// Marks the wait as over however it ends, unwinding included.
struct Waiting {
  explicit Waiting(bool& mark) : flag(mark) {
    OKIBI_CHECK(!mark, "an Event has one waiter at a time");
    flag = true;
  }
  ~Waiting() { flag = false; }
  bool& flag;
};

}  // namespace

Event::Event(Loop& loop) : state_(std::make_shared<State>(loop)) {}
Event::~Event() = default;
Event::Event(Event&&) noexcept = default;
Event& Event::operator=(Event&&) noexcept = default;

void Event::set() {
  state_->set = true;
  if (state_->waiting) state_->timer.cancel();
}

void Event::reset() {
  state_->set = false;
}
bool Event::isSet() const {
  return state_->set;
}

void Event::cancel() {
  state_->cancelled = true;
  if (state_->waiting) state_->timer.cancel();
}

Task<Result<void>> Event::wait(Instant deadline) {
  std::shared_ptr<State> kept = state_;
  State& state = *kept;
  bool expired = false;
  if (!state.cancelled && !state.set) {
    Waiting waiting(state.waiting);
    state.timer.expires_at(toAsio(deadline));
    auto [error] = co_await state.timer.async_wait(asTuple);
    expired = !error;
  }
  if (state.cancelled) co_return fail(ErrorKind::Cancelled, "the wait was cancelled");
  if (state.set) co_return Result<void>();
  if (expired) co_return fail(ErrorKind::TimedOut, "the deadline passed");
  co_return fail(ErrorKind::Cancelled, "the wait was cancelled");
}

}  // namespace okibi::net
