// Whether a request that found no room waits in line or gets an instance of its own.
//
// It gets one at once while nothing is known of its function's times. Once they are known it waits
// as long as a start is expected to take, if the line moves fast enough to reach it by then: of the
// queue, as many requests wait in line as slots are expected to come free within that time. Whoever
// has waited that long all the same, or would miss its deadline, is ripe and gets an instance. So
// an estimate that is wrong costs at most one more start's time.

#include <algorithm>

#include "planner/core.h"

namespace okibi::planner {
namespace {

// A function's requests differ: so many of them are looked at before anything is said.
constexpr int kServicesKnown = 3;
constexpr Duration kServiceFloor = std::chrono::microseconds(1);

}  // namespace

void Planner::Core::learnService(Function& function, Duration took) {
  if (!function.experience) function.experience = std::make_unique<Experience>();
  function.experience->service.learn(took);
}

void Planner::Core::learnStart(const Instance& instance, Duration took) {
  Function& function = *instance.function;
  if (!function.experience) function.experience = std::make_unique<Experience>();
  Experience& seen = *function.experience;
  (instance.state == InstanceState::Waking ? seen.wake : seen.start).learn(took);
}

// How long a request may wait in line instead; nullopt: there is no telling.
std::optional<Duration> Planner::Core::patience(const Function& function) const {
  if (config_.scaleOut == ScaleOut::PerRequest || !function.experience) return std::nullopt;
  const Experience& seen = *function.experience;
  if (!seen.service.after(kServicesKnown)) return std::nullopt;
  const auto start = (function.pool->parked.empty() ? seen.start : seen.wake).after(1);
  if (!start) return std::nullopt;
  return std::min<Duration>(*start / 100 * (100 + config_.waitMarginPercent), kLongestPatience);
}

// Slots that are expected to come free within a time, of instances that serve or will; not counted
// are those a starting one brings.
std::int64_t Planner::Core::expectedReleases(const Function& function, Duration within) const {
  const InstancePool& pool = *function.pool;
  const Experience& seen = *function.experience;
  const Duration service = std::max(*seen.service.after(kServicesKnown), kServiceFloor);
  const std::int64_t able = std::max(0, pool.serving() - pool.unhealthy);
  std::int64_t releases = able * function.concurrency * within.count() / service.count();
  for (const Instance* i = pool.coming.front(); i; i = pool.coming.next(*i)) {
    const bool wakes = i->state == InstanceState::Waking;
    const auto takes = (wakes ? seen.wake : seen.start).after(1);
    if (!takes) continue;
    const Duration left =
        std::max(*takes - (now_ - (wakes ? i->since : i->startedAt)), Duration::zero());
    if (within > left) releases += function.concurrency * (within - left).count() / service.count();
  }
  return releases;
}

// Of the queue, how many wait in line. Kept in the pool: every event that could change it settles
// the function, and time alone only makes requests ripe.
void Planner::Core::decideWhoWaits(Function& function) {
  InstancePool& pool = *function.pool;
  pool.patient = 0;
  if (pool.queue.empty()) return;
  const auto within = patience(function);
  if (!within) return;
  const std::int64_t waiting =
      static_cast<std::int64_t>(pool.queue.size() - pool.queue.ripen(now_));
  pool.patient = static_cast<std::size_t>(std::min(waiting, expectedReleases(function, *within)));
}

void Planner::Core::setRipeness(Request& request) {
  request.ripeAt = now_;
  if (const auto most = patience(*request.function)) {
    const Experience& seen = *request.function->experience;
    request.serviceThen = *seen.service.after(kServicesKnown);
    request.startThen = *(request.function->pool->parked.empty() ? seen.start : seen.wake).after(1);
    request.ripeAt = std::min(now_ + *most, std::max(now_, request.deadline - *most));
  }
}

void Planner::Core::armRipe(Function& function) {
  InstancePool& pool = *function.pool;
  pool.queue.ripen(now_);
  const Request* next = pool.queue.unripe();
  if (!next || (pool.ripeTimer && *pool.ripeTimer <= next->ripeAt)) return;
  disarmRipe(function);
  pool.ripeTimer = next->ripeAt;
  timers_.add({*pool.ripeTimer, TimerKind::Ripe, function.key.value()});
}

void Planner::Core::disarmRipe(Function& function) {
  InstancePool& pool = *function.pool;
  if (pool.ripeTimer) timers_.remove({*pool.ripeTimer, TimerKind::Ripe, function.key.value()});
  pool.ripeTimer.reset();
}

void Planner::Core::onRipe(Function& function) {
  function.pool->ripeTimer.reset();
  settle(function);
  armRipe(function);
}

// Whether the account may start one more instance than it has promised.
bool Planner::Core::mayStart(const Account& account) const {
  return account.starts.unlimited() || account.starts.left(now_) > account.instances.promised;
}

// Its allowance grows by time alone.
void Planner::Core::armStarts(Account& account) {
  const auto at = account.starts.nextAt(now_, account.instances.promised + 1);
  if (!at || (account.startTimer && *account.startTimer <= *at)) return;
  if (account.startTimer) timers_.remove({*account.startTimer, TimerKind::Starts, account.id});
  account.startTimer = at;
  timers_.add({*at, TimerKind::Starts, account.id});
}

void Planner::Core::onStartsTimer(Account& account) {
  account.startTimer.reset();
  markDirty(account);
}

}  // namespace okibi::planner
