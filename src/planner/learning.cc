// What the planner learns from arrivals, and how long it keeps instances by it.

#include <algorithm>

#include "planner/core.h"

namespace okibi::planner {
namespace {

constexpr double kStartSmoothing = 0.1;
constexpr double kStartFloor = 1;  // seconds: differences below do not matter

ArrivalModel::Rule ruleOf(const KeepAliveRule& rule, bool parks) {
  if (!parks || !rule.parkAfter) return {rule.idleTimeout, rule.idleTimeout};
  return {std::min(*rule.parkAfter, rule.idleTimeout), rule.idleTimeout};
}

}  // namespace

bool Planner::Core::parks(const Function& function) const {
  return function.shelf && config_.hostMemory > Bytes() && function.keepAlive.parkAfter;
}

// A request has come. What it finds is judged before anything is done with it.
void Planner::Core::noteArrival(Function& function) {
  if (config_.keepAlive == KeepAlivePolicy::Fixed) return;
  if (!function.habits) function.habits = std::make_unique<Habits>();
  Habits& habits = *function.habits;
  habits.rates.count(now_);
  if (config_.keepAlive != KeepAlivePolicy::Histogram) return;
  if (!habits.histogram) habits.histogram.emplace(config_.histogramRange);
  if (habits.idleSince && now_ > *habits.idleSince) {
    habits.histogram->learn(now_ - *habits.idleSince);
  }
  habits.idleSince.reset();
  cancelStartAhead(function);
}

// An instance has just become idle: how it is kept.
void Planner::Core::chooseRule(Instance& instance) {
  Function& function = *instance.function;
  instance.rule = function.keepAlive;
  if (!function.habits) return;
  if (config_.keepAlive == KeepAlivePolicy::Histogram) return chooseByHistogram(instance);
  Habits& habits = *function.habits;
  const ArrivalModel::Rule rule = ruleOf(function.keepAlive, parks(function));
  const double mean = std::max(meanStart_, kStartFloor);
  const double cost = habits.hasStarted ? std::max(habits.startSeconds, kStartFloor) / mean : 1;
  instance.idleClass = ArrivalModel::classOf(habits.rates, now_, function.pool->busy > 0);
  instance.choice = model_.choose(instance.idleClass, rule, cost);
  instance.rule.idleTimeout = instance.choice.kept;
  if (rule.kept > rule.onCard) instance.rule.parkAfter = instance.choice.onCard;
  const double gib = std::max(1.0, static_cast<double>(function.slice.wholeMib()) / 1024);
  instance.worth = instance.choice.worth / gib;
}

void Planner::Core::chooseByHistogram(Instance& instance) {
  Function& function = *instance.function;
  Habits& habits = *function.habits;
  InstancePool& pool = *function.pool;
  instance.rule.parkAfter.reset();
  if (habits.idleSince && habits.keepUntil) {  // started ahead, and not used yet
    instance.rule.idleTimeout = std::max(*habits.keepUntil - now_, Duration::zero());
    return;
  }
  const IdleHistogram::Window window = habits.histogram->window();
  // A request at the very ends of the window counts as within it.
  instance.rule.idleTimeout = window.until + Duration(1);
  if (pool.busy > 0 || !pool.queue.empty()) return;
  habits.idleSince = now_;
  habits.keepUntil = now_ + instance.rule.idleTimeout;
  if (window.from == Duration::zero()) return;
  instance.rule.idleTimeout = Duration(1);  // not before all that comes at this time has come
  habits.startAhead = now_ + window.from - Duration(1);
  timers_.add({*habits.startAhead, TimerKind::StartAhead, function.key.value()});
}

bool Planner::Core::learns(const Function& function) const {
  return config_.keepAlive == KeepAlivePolicy::Learned && function.habits;
}

// It is wanted again, idle or parked.
void Planner::Core::noteWanted(const Instance& instance) {
  const Function& function = *instance.function;
  if (!learns(function)) return;
  model_.learnWanted(instance.idleClass, now_ - instance.idleSince, instance.choice,
                     ruleOf(function.keepAlive, parks(function)));
}

// It is given up unused.
void Planner::Core::noteGivenUp(const Instance& instance) {
  Function& function = *instance.function;
  if (!learns(function)) return;
  model_.learnGivenUp(instance.idleClass, instance.choice,
                      ruleOf(function.keepAlive, parks(function)));
  Habits& habits = *function.habits;
  if (habits.ghostCount == Habits::kGhosts) {
    std::ranges::move(habits.ghosts.begin() + 1, habits.ghosts.end(), habits.ghosts.begin());
    --habits.ghostCount;
  }
  habits.ghosts[habits.ghostCount++] = {instance.idleSince, instance.idleClass};
}

// A start is needed: the instance given up last would have served.
void Planner::Core::noteStart(Function& function) {
  if (!learns(function) || function.habits->ghostCount == 0) return;
  const Habits::Ghost& ghost = function.habits->ghosts[--function.habits->ghostCount];
  model_.correct(ghost.idleClass, now_ - ghost.idleSince,
                 ruleOf(function.keepAlive, parks(function)));
}

void Planner::Core::noteReady(const Instance& instance, Duration took) {
  Function& function = *instance.function;
  if (!learns(function)) return;
  const double seconds = std::chrono::duration<double>(took).count();
  Habits& habits = *function.habits;
  habits.startSeconds +=
      (habits.hasStarted ? kStartSmoothing : 1.0) * (seconds - habits.startSeconds);
  habits.hasStarted = true;
  meanStart_ += (meanStart_ > 0 ? kStartSmoothing : 1.0) * (seconds - meanStart_);
}

void Planner::Core::cancelStartAhead(Function& function) {
  if (!function.habits || !function.habits->startAhead) return;
  timers_.remove({*function.habits->startAhead, TimerKind::StartAhead, function.key.value()});
  function.habits->startAhead.reset();
}

// A request is expected: an instance is started for it where that takes nothing from anybody.
void Planner::Core::onStartAhead(Function& function) {
  function.habits->startAhead.reset();
  if (function.retired || draining_ || runtimeDown_ || function.startFailures > 0) return;
  if (function.demand == FunctionPlan::Demand::KeptOnly || function.group->room() <= 0) return;
  if (function.pool && (function.pool->total() > 0 || !function.pool->queue.empty())) return;
  const Account& account = *function.account;
  if (!account.instances.hasFree() || !account.instances.canPromise()) return;
  CardBook* card = nullptr;
  if (function.shelf) {
    card = bookableCard(*function.shelf, function.slice);
    if (!card || !account.cards.hasFree() || !account.cards.canPromise()) return;
  }
  if (!function.pool) function.pool = std::make_unique<InstancePool>(function.concurrency);
  create(function, card, Start::Ahead);
}

}  // namespace okibi::planner
