#include "net/loop.h"

#include <exception>

#include <boost/asio/async_result.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>

#include "base/check.h"
#include "net/loop_impl.h"

namespace okibi::net {

namespace asio = boost::asio;

Loop::Loop(int workers, VirtualClock* clock) : impl_(std::make_unique<Impl>(workers, clock)) {}

Loop::~Loop() {
  // Workers first: what they report to must still be there.
  if (impl_->workers) impl_->workers->join();
}

void Loop::run() {
  impl_->context.restart();
  if (impl_->clock == nullptr) {
    impl_->context.run();
  } else {
    impl_->runVirtually();
  }
}

// Time passes only when nothing is left to do: no handler, no worker, and nothing under way in the
// kernel (what was written to a loopback socket is there at once, or nearly).
void Loop::Impl::runVirtually() {
  while (!context.stopped()) {
    if (context.poll() > 0 || !settled() || context.stopped()) continue;
    if (offloaded > 0 || !clock->jump()) context.run_one();
  }
}

// Whether nothing has come for a while. On a busy machine the kernel's own threads, which carry
// what is under way, wait for their turn as this one does: a wait that took far longer says
// nothing.
bool Loop::Impl::settled() {
  using Clock = std::chrono::steady_clock;
  constexpr auto kSettle = std::chrono::milliseconds(1);
  constexpr int kMostWaits = 20;
  for (int waits = 0; waits < kMostWaits; ++waits) {
    const auto begin = Clock::now();
    if (context.run_one_for(kSettle) > 0 || context.stopped()) return false;
    if (Clock::now() - begin < 2 * kSettle) break;
  }
  return true;
}

void Loop::stop() {
  impl_->context.stop();
}

Instant Loop::now() const {
  if (impl_->clock != nullptr) return impl_->clock->now();
  return Instant(std::chrono::steady_clock::now().time_since_epoch());
}

namespace {

void endOfSpawned(std::exception_ptr error) {
  if (!error) return;
  try {
    std::rethrow_exception(error);
  } catch (const boost::system::system_error& unwinding) {
    OKIBI_CHECK(unwinding.code() == asio::error::operation_aborted, "a task threw: {}",
                unwinding.what());
  } catch (const std::exception& unexpected) {
    OKIBI_CHECK(false, "a task threw: {}", unexpected.what());
  }
}

}  // namespace

void Loop::spawn(Task<void> task) {
  asio::co_spawn(impl_->context, std::move(task), endOfSpawned);
}

void Loop::post(std::move_only_function<void()> fn) {
  asio::post(impl_->context, [fn = std::move(fn)]() mutable { fn(); });
}

void Loop::Impl::awaitSignal(SignalHandler& handler) {
  handler.set.async_wait([this, &handler](const boost::system::error_code& error, int) {
    if (error) return;
    std::function<void()> fn = handler.fn;  // it may replace itself
    fn();
    awaitSignal(handler);
  });
}

void Loop::onSignal(int signal, std::function<void()> fn) {
  auto [it, isNew] = impl_->signals.try_emplace(signal, impl_->context, signal);
  it->second.fn = std::move(fn);
  if (isNew) impl_->awaitSignal(it->second);
}

Task<void> Loop::sleepUntil(Instant time) {
  Alarm alarm(*this);
  alarm.set(time);
  co_await alarm.wait(asTuple);
}

Task<void> Loop::sleep(Duration duration) {
  return sleepUntil(now() + duration);
}

Task<void> Loop::offloadErased(std::function<void()> work) {
  // No cancellation slot is connected, so the frame that `work` refers to stays until the worker is
  // done.
  auto start = [this, &work](auto handler) {
    auto shared = std::make_shared<decltype(handler)>(std::move(handler));
    asio::post(impl_->pool(), [this, &work, shared = std::move(shared)]() mutable noexcept {
      work();
      asio::post(impl_->context, [shared = std::move(shared)]() mutable { (*shared)(); });
    });
  };
  ++impl_->offloaded;
  co_await asio::async_initiate<const asio::deferred_t&, void()>(start, asio::deferred);
  --impl_->offloaded;
}

// ---- Alarm and Timer

void Alarm::set(Instant when) {
  if (clock_ == nullptr) {
    timer_.expires_at(toAsio(when));
    return;
  }
  unset();
  when_ = when;
  timer_.expires_at(when <= clock_->now() ? std::chrono::steady_clock::time_point::min()
                                          : std::chrono::steady_clock::time_point::max());
  if (when > clock_->now() && when != Instant::max()) clock_->alarms_.insert({when, this});
}

struct Timer::State {
  explicit State(Loop& loop) : alarm(loop) {}
  Alarm alarm;
  std::uint64_t generation = 0;  // counts schedule() and cancel(); a stale expiry does nothing
  bool scheduled = false;
  std::move_only_function<void()> fn;
};

Timer::Timer(Loop& loop) : state_(std::make_shared<State>(loop)) {}
Timer::Timer(Timer&&) noexcept = default;
Timer& Timer::operator=(Timer&& other) noexcept {
  if (this == &other) return *this;
  if (state_) cancel();
  state_ = std::move(other.state_);
  return *this;
}
Timer::~Timer() {
  if (state_) cancel();
}

void Timer::schedule(Instant when, std::move_only_function<void()> fn) {
  state_->alarm.set(when);
  state_->fn = std::move(fn);
  state_->scheduled = true;
  auto expired = [state = state_,
                  generation = ++state_->generation](const boost::system::error_code&) {
    if (state->generation != generation || !state->scheduled) return;
    state->scheduled = false;
    std::move_only_function<void()> due = std::move(state->fn);
    due();
  };
  state_->alarm.wait(std::move(expired));
}

void Timer::cancel() {
  ++state_->generation;
  if (!state_->scheduled) return;
  state_->scheduled = false;
  state_->fn = nullptr;
  state_->alarm.wake();
}

bool Timer::scheduled() const {
  return state_->scheduled;
}

}  // namespace okibi::net
