#include "net/event.h"

#include "net/loop_impl.h"

namespace okibi::net {

struct Event::State {
  explicit State(Loop& l) : loop(l), alarm(l) {}
  Loop& loop;
  Alarm alarm;  // set() and cancel() wake the waiter
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
  if (state_->waiting) state_->alarm.wake();
}

void Event::reset() {
  state_->set = false;
}
bool Event::isSet() const {
  return state_->set;
}

void Event::cancel() {
  state_->cancelled = true;
  if (state_->waiting) state_->alarm.wake();
}

Task<Result<void>> Event::wait(Instant deadline) {
  std::shared_ptr<State> kept = state_;
  State& state = *kept;
  bool expired = false;
  if (!state.cancelled && !state.set) {
    Waiting waiting(state.waiting);
    state.alarm.set(deadline);
    co_await state.alarm.wait(asTuple);
    expired = state.loop.now() >= deadline;
  }
  if (state.cancelled) co_return fail(ErrorKind::Cancelled, "the wait was cancelled");
  if (state.set) co_return Result<void>();
  if (expired) co_return fail(ErrorKind::TimedOut, "the deadline passed");
  co_return fail(ErrorKind::Cancelled, "the wait was cancelled");
}

}  // namespace okibi::net
