// Whether a request that found no room waits in line or gets an instance of its own.
//
// It gets one at once while nothing is known of its function's times. Once they are known it waits,
// if the line is expected to reach it in half the time of a start (PlannerConfig's margin): the
// work of the queue, shared by the slots of all instances that serve or come, takes no longer.
// Whoever has waited longer all the same, by a start, or would miss its deadline, is ripe and gets
// an instance. So an estimate that is wrong costs at most one and a half more starts' time.

#include <algorithm>
#include <utility>

#include "planner/core.h"
#include "planner/explain.h"

namespace okibi::planner {
namespace {

// A function's requests differ: so many of them are looked at before anything is said.
constexpr int kServicesKnown = 3;
// Before somebody is refused for it.
constexpr int kServicesTrusted = 8;
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
  return patience(function, !function.pool->parked.empty());
}

std::optional<Duration> Planner::Core::patience(const Function& function, bool wakes) const {
  if (config_.scaleOut == ScaleOut::PerRequest || !function.experience) return std::nullopt;
  const Experience& seen = *function.experience;
  if (!seen.service.after(kServicesKnown)) return std::nullopt;
  const auto start = (wakes ? seen.wake : seen.start).after(1);
  if (!start) return std::nullopt;
  return std::clamp<Duration>(*start / 100 * (100 + config_.waitMarginPercent), Duration(1),
                              kLongestPatience);
}

// Instances the queue needs beside those that serve or come, so that the last of it is expected to
// wait no longer than `within`: its work, shared by all their slots.
std::int64_t Planner::Core::instancesFor(const Function& function, Duration within) {
  const auto queued = static_cast<std::int64_t>(function.pool->queue.size());
  return std::clamp<std::int64_t>(
      instancesFor(function, queued, within) - thereOrComing(*function.pool), 0, queued);
}

std::int64_t Planner::Core::instancesFor(const Function& function, std::int64_t queued,
                                         Duration within) {
  const Duration service = std::clamp<Duration>(*function.experience->service.after(kServicesKnown),
                                                kServiceFloor, kLongestPatience);
  const std::int64_t each = within.count() * function.concurrency;
  return (queued * service.count() + each - 1) / each;
}

std::int64_t Planner::Core::thereOrComing(const InstancePool& pool) {
  return std::max(0, pool.serving() - pool.unhealthy) + pool.starting() + pool.placing() +
         pool.parkedOrParking() - static_cast<std::int64_t>(pool.parked.size());
}

// Whether one more request would wait in line, had nobody come ahead.
bool Planner::Core::oneMoreWaits(const Function& function) const {
  const InstancePool& pool = *function.pool;
  const Instance* parked = pool.parked.back();
  const auto within = patience(function, parked && !parked->spare);
  if (!within) return false;
  const auto queued = static_cast<std::int64_t>(pool.queue.size()) + 1;
  return instancesFor(function, queued, *within) <= thereOrComing(pool) - (pool.ahead ? 1 : 0);
}

// Of the queue, how many wait in line. Kept in the pool: every event that could change it settles
// the function, and time alone only makes requests ripe.
void Planner::Core::decideWhoWaits(Function& function) {
  InstancePool& pool = *function.pool;
  pool.patient = 0;
  if (pool.queue.empty()) return;
  const auto within = patience(function);
  if (!within) return;
  const std::size_t ripe = pool.queue.ripen(now_);
  const std::size_t coming = pool.comingSlots();
  const auto started = static_cast<std::size_t>(instancesFor(function, *within)) *
                       static_cast<std::size_t>(function.concurrency);
  const std::size_t served = std::max(coming + started, ripe);
  pool.patient = pool.queue.size() - std::min(pool.queue.size(), served);
}

// The most instances the function could have, if all that is there were its own.
std::int64_t Planner::Core::mostInstances(const Function& function) {
  const Account& account = *function.account;
  std::int64_t most = account.instances.limit;
  if (function.shelf) {
    most = std::min<std::int64_t>(most, account.cards.limit);
    most = std::min(most, function.shelf->memory.count() / function.slice.count());
  }
  if (function.group->most) most = std::min<std::int64_t>(most, *function.group->most);
  return most;
}

// How long the last of the queue will wait at least: if the function had all that is there, behind
// those who may wait as long as it; who may not will be gone by then. nullopt: there is no telling.
// Only for a queue that something scarce keeps from being served.
std::optional<Duration> Planner::Core::expectedWait(const Function& function) const {
  const InstancePool& pool = *function.pool;
  if (!pool.line || !function.experience) return std::nullopt;
  const auto service = function.experience->service.after(kServicesTrusted);
  const std::int64_t instances = mostInstances(function);
  if (!service || instances <= 0 || pool.queue.size() <= pool.comingSlots()) return std::nullopt;
  const std::size_t behindThem = pool.queue.size() - pool.comingSlots();
  const Request* last = pool.queue.back();
  std::int64_t ahead = 0;
  for (const Request* r = last;
       r && r->deadline >= last->deadline && std::cmp_less(ahead, behindThem);
       r = RequestList::previous(*r)) {
    ++ahead;
  }
  return std::min(*service, kLongestPatience) * ahead / (instances * function.concurrency);
}

// It has just joined the queue, as the last.
void Planner::Core::refuseIfHopeless(Function& function, InvocationId invocation) {
  if (!config_.refuseEarly || !function.pool) return;
  Request* request = function.pool->queue.back();
  if (!request || request->id != invocation) return;  // it is served
  const auto wait = expectedWait(function);
  const Duration left = request->deadline - now_;
  if (!wait || *wait < left * config_.refusalCaution) return;
  refuse(*request, hopelessError(function, *wait, left), *wait);
  settle(function);
}

void Planner::Core::setRipeness(Request& request) {
  request.ripeAt = now_;
  if (const auto most = patience(*request.function)) {
    const Experience& seen = *request.function->experience;
    request.serviceThen = *seen.service.after(kServicesKnown);
    request.startThen = *(request.function->pool->parked.empty() ? seen.start : seen.wake).after(1);
    const Duration start = std::min(request.startThen, kLongestPatience);
    request.ripeAt = std::min(now_ + *most + start, std::max(now_, request.deadline - start));
  }
}

// It has come from another configuration's queue and waits no longer than one that had come to
// this.
void Planner::Core::hastenRipeness(Request& request) {
  const auto wholeWait = [&](Duration start) {
    start = std::min(start, kLongestPatience);
    return start + start / 100 * (100 + config_.waitMarginPercent);
  };
  const auto most = patience(*request.function);
  if (!most) {
    request.ripeAt = std::min(request.ripeAt, now_);
    return;
  }
  const Experience& seen = *request.function->experience;
  const auto start = *(request.function->pool->parked.empty() ? seen.start : seen.wake).after(1);
  const Duration less = wholeWait(request.startThen) - wholeWait(start);
  if (less > Duration::zero()) request.ripeAt -= less;
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
