// Instances that are started, or woken, for a request that is expected: where a function's pauses
// repeat (planner/rhythm.h), and only while it costs nobody anything. Paid for by the same price,
// and out of the same budget, as what is held.

#include <algorithm>
#include <cmath>
#include <utility>

#include "planner/core.h"
#include "planner/explain.h"

namespace okibi::planner {

// What it takes to wake an instance of it, in seconds, as far as is known.
double Planner::Core::wakeSeconds(const Function& function) {
  if (!function.experience) return 0;
  return toSeconds(function.experience->wake.after(1).value_or(Duration::zero()));
}

// At most one of a function at a time.
void Planner::Core::setAhead(Instance& instance, bool ahead) {
  Function& function = *instance.function;
  if (!ahead) closeSpare(instance, false);  // unless it was used, and closed by that
  instance.ahead = ahead;
  function.pool->ahead = ahead ? &instance : nullptr;
  if (ahead) {
    function.account->ahead.pushBack(instance);
    if (function.shelf) function.shelf->ahead.pushBack(instance);
  } else {
    function.account->ahead.erase(instance);
    if (function.shelf) function.shelf->ahead.erase(instance);
  }
}

HoldingPrice& Planner::Core::aheadPrice(const Function& function) {
  return parks(function) ? parkingCard_ : function.shelf ? card_ : cpu_;
}
const HoldingPrice& Planner::Core::aheadPrice(const Function& function) const {
  return parks(function) ? parkingCard_ : function.shelf ? card_ : cpu_;
}

// What a window is worth in the price's own unit: starts, or wakes where the function parks.
double Planner::Core::aheadWorth(const Function& function, double worth) const {
  worth /= gibOf(function);
  if (!parks(function)) return worth * startCost(function);
  if (function.pool && !function.pool->parked.empty()) return worth;
  return worth *
         std::max(1.0, function.habits->startSeconds / std::max(wakeSeconds(function), 1.0));
}

bool Planner::Core::paysAhead(const Function& function) const {
  const auto& expected = function.habits->expected;
  const double price = aheadPrice(function).price();
  return expected && price > 0 && aheadWorth(function, expected->worth) >= price;
}

// The function is at rest: when will it be wanted next?
void Planner::Core::expectNext(Function& function) {
  Habits& habits = *function.habits;
  if (habits.expected && habits.expected->begun) return;
  cancelStartAhead(function);
  habits.expected.reset();
  const auto last = habits.arrivals.last();
  const InstancePool* pool = function.pool.get();
  if (!last || function.retired || (pool && (pool->busy > 0 || !pool->queue.empty()))) return;
  const double lead = parks(function) ? wakeSeconds(function) : habits.startSeconds;
  const auto window = habits.rhythm.next(toSeconds(now_ - *last), lead);
  if (!window) return;
  habits.expected = Habits::Expected{.call = *last + fromSeconds(window->from - lead),
                                     .ready = *last + fromSeconds(window->from),
                                     .until = *last + fromSeconds(window->until),
                                     .chance = window->chance,
                                     .worth = window->worth};
  armStartAhead(function, habits.expected->call);
}

// What holding it is worth until an instance would be called all the same.
double Planner::Core::worthBeforeCall(const Function& function) const {
  const Habits& habits = *function.habits;
  if (!paysAhead(function) || habits.expected->begun) return 1;
  const Instant last = *habits.arrivals.last();
  return habits.rhythm.worthUntil(toSeconds(now_ - last), toSeconds(habits.expected->call - last));
}

// Whether the model holds the one that would be taken first, so that none need be called.
bool Planner::Core::firstIsHeld(const Function& function) const {
  const Habits& habits = *function.habits;
  const auto onCard = [&](const IdleWatch& watch) {
    return (parks(function) ? watch.onCard : watch.kept) == Duration::max();
  };
  if (const InstancePool* pool = function.pool.get()) {
    if (const Instance* first = pool->fullestWithRoom()) return onCard(first->watch);
    const Instance* first = pool->parked.back();
    if (first) return !first->watch.over() && onCard(first->watch);
  }
  return habits.ghostCount > 0 && habits.ghosts[habits.ghostCount - 1].kept == Duration::max();
}

// A request has come; nothing was done with it yet.
void Planner::Core::noteExpected(Function& function) {
  Habits& habits = *function.habits;
  habits.metAhead = false;
  cancelStartAhead(function);
  if (habits.expected) {
    const Habits::Expected& expected = *habits.expected;
    habits.metAhead = expected.held && now_ >= expected.ready;
    closeExpected(function, !expected.begun          ? Rhythm::Outcome::Early
                            : now_ >= expected.ready ? Rhythm::Outcome::InTime
                                                     : Rhythm::Outcome::Missed);
    habits.expected.reset();
  }
  const auto last = habits.arrivals.last();
  const InstancePool& pool = *function.pool;
  if (!last || pool.busy > 0 || !pool.queue.empty()) return;
  const double pause = toSeconds(now_ - *last);
  if (pause >= Rhythm::kShortest) habits.rhythm.learn(pause);
}

// Its window is over. What it held counts as spent, really held or not (see followLeader).
void Planner::Core::closeExpected(Function& function, Rhythm::Outcome outcome) {
  Habits& habits = *function.habits;
  const Habits::Expected& expected = *habits.expected;
  habits.rhythm.judge(expected.chance, outcome);
  if (!expected.held) return;
  const double spent = gibOf(function) * toSeconds(now_ - expected.call);
  aheadPrice(function).count(aheadWorth(function, expected.worth), spent, 0, spent);
}

// A request that found no room has come while an instance is on its way for one that was expected:
// this is it.
void Planner::Core::meetAhead(Function& function) {
  Instance* ahead = function.pool->ahead;
  if (!ahead || ahead->serving()) return;
  if (learns(function)) noteWanted(*ahead);
  setAhead(*ahead, false);
}

// Whoever else was to serve is gone, or who was to wait in line has waited long enough: now a
// request depends on the one that comes ahead.
void Planner::Core::relyOnAhead(Function& function) {
  const InstancePool& pool = *function.pool;
  if (!pool.ahead || pool.ahead->serving()) return;
  const std::size_t others =
      pool.comingSlots() - static_cast<std::size_t>(function.concurrency) + pool.patient;
  if (pool.queue.size() <= others) return;
  function.habits->newestWaits = false;
  meetAhead(function);
}

// It is there before another that a request waits for: that one is now who came ahead.
void Planner::Core::passAhead(Instance& instance) {
  Function& function = *instance.function;
  Instance* other = function.pool->instances.front();
  while (other && (other == &instance || other->kept ||
                   !(other->starting() || other->state == InstanceState::Waking))) {
    other = function.pool->instances.next(*other);
  }
  if (!other) return;
  const auto spare = std::exchange(function.habits->spare, std::nullopt);
  setAhead(instance, false);
  setAhead(*other, true);
  function.habits->spare = spare;
  std::swap(instance.reason, other->reason);
  std::swap(instance.watch, other->watch);
}

// One that was called for an expected request is there: it stays to the end of the window.
void Planner::Core::chooseAhead(Instance& instance) {
  const Habits& habits = *instance.function->habits;
  Instant until = habits.expected ? std::max(habits.expected->until, now_) : now_;
  if (habits.spare) until = std::max(habits.spare->until, now_);
  if (!instance.watch.over()) {  // it was parked: its idle time goes on
    instance.idleSince = instance.watch.since;
    instance.rule.parkAfter = until - instance.idleSince;
    return followLeader(instance);
  }
  instance.rule.parkAfter.reset();
  if (habits.spare && habits.spare->parks) {
    instance.rule.parkAfter = Duration::zero();
    instance.worth = habits.spare->parkedWorth;
  }
  instance.rule.idleTimeout = until - now_;
}

// Whether nobody waits for what it would take, and no more than half of the burst is used for what
// may never come.
bool Planner::Core::mayPrewarm(const Function& function, const CardBook* card, bool starts) const {
  const Account& account = *function.account;
  if (function.retired || draining_ || runtimeDown_ || function.startFailures > 0) return false;
  if (account.waiting > 0 || !account.placing.empty()) return false;
  if (function.shelf) {
    if (!card || function.shelf->waiting > 0 || !function.shelf->placing.empty()) return false;
    if (!account.cards.hasFree() || !account.cards.canPromise()) return false;
  }
  if (!starts) return true;
  if (function.demand == FunctionPlan::Demand::KeptOnly || function.group->room() <= 0)
    return false;
  if (!account.instances.hasFree() || !account.instances.canPromise()) return false;
  return account.starts.unlimited() || 2 * account.starts.left(now_) > account.starts.burst();
}

// A request is expected: an instance comes for it where that takes nothing from anybody.
void Planner::Core::prewarm(Function& function) {
  InstancePool* pool = function.pool.get();
  if (function.minimum > 0) return;
  if (pool && (pool->serving() + pool->starting() + pool->placing() > 0 || !pool->queue.empty())) {
    return;
  }
  CardBook* card = function.shelf ? bookableCard(*function.shelf, function.slice) : nullptr;
  Instance* parked = pool ? pool->parked.back() : nullptr;
  if (!mayPrewarm(function, card, parked == nullptr)) return;
  if (!parked && pool && pool->total() > 0) return;  // what leaves would be in the way
  if (!function.pool) function.pool = std::make_unique<InstancePool>(function.concurrency);
  callAhead(function, card, parked);
}

void Planner::Core::callAhead(Function& function, CardBook* card, Instance* parked) {
  std::string why;
  if (card) why = cardReason(*card, CardChoice::Fits, function.slice, 0);
  if (parked) {
    setAhead(*parked, true);
    parked->reason = aheadReason(Ahead::Woken);
    parked->whyCard = std::move(why);
    recall(*parked, *card);
    if (parked->state == InstanceState::Recalled) withdraw(*parked);  // it waits for nothing
    return;
  }
  create(function, card, Start::Ahead, std::move(why));
}

void Planner::Core::armStartAhead(Function& function, Instant at) {
  function.habits->startAhead = at;
  timers_.add({at, TimerKind::StartAhead, function.key.value()});
}

void Planner::Core::cancelStartAhead(Function& function) {
  if (!function.habits || !function.habits->startAhead) return;
  timers_.remove({*function.habits->startAhead, TimerKind::StartAhead, function.key.value()});
  function.habits->startAhead.reset();
}

void Planner::Core::onStartAhead(Function& function) {
  Habits& habits = *function.habits;
  habits.startAhead.reset();
  if (!learns(function)) return prewarm(function);
  Habits::Expected& expected = *habits.expected;
  if (expected.begun) {
    closeExpected(function, Rhythm::Outcome::Missed);
    habits.expected.reset();
    return expectNext(function);
  }
  expected.begun = true;
  expected.held = paysAhead(function) && !firstIsHeld(function);
  armStartAhead(function, std::max(expected.until, now_));
  if (expected.held && aheadPrice(function).leads()) prewarm(function);
}

}  // namespace okibi::planner
