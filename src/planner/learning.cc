// What the planner learns from arrivals, and how long it keeps instances by it.

#include <algorithm>
#include <limits>
#include <utility>

#include "planner/core.h"

namespace okibi::planner {
namespace {

constexpr int kStartsRemembered = 50;
constexpr double kStartsAssumed = 10;      // so many like all functions', until its own are known
constexpr double kStartFloor = 1;          // seconds: differences below do not matter
constexpr std::int64_t kFirstChoice = 50;  // idle times, before anything is chosen
// With parking, nobody is released earlier than this (or than the rule would).
constexpr Duration kParkFloor = std::chrono::minutes(10);

constexpr Duration kNever = std::chrono::hours(1000);

struct HoldRule {
  Duration onCard, kept;
};

HoldRule ruleOf(const KeepAliveRule& rule, bool parks) {
  if (!parks || !rule.parkAfter) return {rule.idleTimeout, rule.idleTimeout};
  return {std::min(*rule.parkAfter, rule.idleTimeout), rule.idleTimeout};
}

}  // namespace

// GiB of it: what is priced. An instance without a card counts as one.
double Planner::Core::gibOf(const Function& function) {
  const double gib = static_cast<double>(function.slice.wholeMib()) / 1024;
  return gib > 0 ? gib : 1;
}

bool Planner::Core::parks(const Function& function) const {
  return function.shelf && config_.hostMemory > Bytes() && function.keepAlive.parkAfter;
}

// A request has come. What it finds is judged before anything is done with it.
void Planner::Core::noteArrival(Function& function) {
  if (config_.keepAlive == KeepAlivePolicy::Fixed) return;
  if (!function.habits) function.habits = std::make_unique<Habits>();
  Habits& habits = *function.habits;
  if (config_.keepAlive == KeepAlivePolicy::Learned) return countArrival(function);
  if (!habits.histogram) habits.histogram.emplace(config_.histogramRange);
  if (habits.idleSince && now_ > *habits.idleSince) {
    habits.histogram->learn(now_ - *habits.idleSince);
  }
  habits.idleSince.reset();
  cancelStartAhead(function);
}

void Planner::Core::countArrival(Function& function) {
  const InstancePool& pool = *function.pool;
  const Instance* taken = pool.fullestWithRoom();
  std::optional<std::size_t> level;
  if (!taken || taken->inFlight.empty()) {
    const auto perInstance = static_cast<std::size_t>(function.concurrency);
    level = static_cast<std::size_t>(pool.busy) + pool.queue.size() / perInstance + 1;
  }
  noteExpected(function);
  Habits& habits = *function.habits;
  const Instant before = habits.arrivals.last().value_or(now_ - kNever);
  const bool free = taken && taken->inFlight.empty() && !taken->ahead;
  habits.newestWaits = level && !free && oneMoreWaits(function);
  followBursts(habits, habits.newestWaits ? std::nullopt : level);
  habits.arrivals.count(now_, level);
  model_.countArrival(now_);
  burst_ = function.key;
  burstGap_ = now_ - before;
}

// An instance has just become idle: how it is kept.
void Planner::Core::chooseRule(Instance& instance) {
  Function& function = *instance.function;
  instance.rule = function.keepAlive;
  if (!function.habits) return;
  if (config_.keepAlive == KeepAlivePolicy::Histogram) return chooseByHistogram(instance);
  if (instance.ahead) return chooseAhead(instance);
  if (instance.spareUntil) {
    instance.rule.parkAfter.reset();
    instance.rule.idleTimeout = Duration::zero();
    return;
  }
  expectNext(function);
  instance.watch = IdleWatch();
  instance.watch.since = instance.idleSince;
  instance.worth = startCost(function) / gibOf(function);
  if (learned_ < kFirstChoice) {
    const HoldRule rule = ruleOf(function.keepAlive, parks(function));
    instance.watch.onCard = rule.onCard;
    instance.watch.kept = rule.kept;
  }
  followLeader(instance);
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
  if (pool.busy > 0 || !pool.queue.empty() || function.retired) return;
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

// How many stand before it when requests come: busy ones, idle ones used later, then parked ones.
std::size_t Planner::Core::rankOf(const Instance& instance) {
  const InstancePool& pool = *instance.function->pool;
  auto rank = static_cast<std::size_t>(pool.busy);
  constexpr std::size_t kMost = ArrivalHistory::kLevels;
  if (instance.state == InstanceState::Parked) {
    rank += static_cast<std::size_t>(std::max(0, pool.serving() - pool.busy));
    for (const Instance* i = pool.parked.back(); i && i != &instance && rank < kMost;) {
      ++rank;
      i = pool.parked.previous(*i);
    }
    return rank;
  }
  std::size_t looked = 0;
  for (const RoomKey& key : pool.withRoom()) {
    if (key.instance == &instance || rank >= kMost || ++looked > 64) break;
    if (key.load == 0) ++rank;
  }
  return rank;
}

// What a start of it costs, relative to those of all functions.
double Planner::Core::startCost(const Function& function) const {
  const Habits& habits = *function.habits;
  const double mean = std::max(meanStart_, kStartFloor);
  const double own = std::max(habits.startSeconds, kStartFloor);
  return (habits.starts * own / mean + kStartsAssumed) / (habits.starts + kStartsAssumed);
}

// The step it stands in is over, or was `reached` so far when it was wanted.
void Planner::Core::closeStep(const Function& function, const IdleWatch& watch, Duration reached,
                              Ending ending) {
  if (watch.over()) return;
  const bool wanted = ending != Ending::Unwanted, met = ending == Ending::MetAhead;
  if (watch.seen) model_.learn(watch.signs, wanted);
  const Duration from = idleEdge(watch.step);
  const HoldRule rule = ruleOf(function.keepAlive, parks(function));
  const double gib = gibOf(function), cost = startCost(function);
  // GiB·s of this step that are before `until`.
  const auto heldUntil = [&](Duration until) {
    return gib * toSeconds(std::clamp(until, from, std::max(from, reached)) - from);
  };
  const double all = heldUntil(Duration::max()), worst = watch.worst / gib;
  const double worstOnCard = watch.worstOnCard / gib;
  const double kept = heldUntil(watch.kept), ruleKept = heldUntil(rule.kept);
  if (!parks(function)) {
    HoldingPrice& price = function.shelf ? card_ : cpu_;
    price.count(worstOnCard * cost, all, ruleKept, kept);
    if (wanted) price.compare(cost * (!met && watch.kept < reached), cost * (rule.kept < reached));
    return;
  }
  const double onCard = heldUntil(std::min(watch.onCard, watch.kept));
  const double ruleCard = heldUntil(rule.onCard);
  parkingCard_.count(worstOnCard, all, ruleCard, onCard);
  parkingHost_.count(worst * cost, all - onCard, ruleKept - ruleCard, kept - onCard);
  if (!wanted) return;
  parkingCard_.compare(!met && watch.onCard < reached, rule.onCard < reached);
  parkingHost_.compare(cost * (!met && watch.kept < reached), cost * (rule.kept < reached));
}

// Returns per second far above any price: how far does not matter.
double Planner::Core::clearlyWorth(const Function& function) const {
  constexpr double kFar = 6;
  const double price = parks(function) ? std::max(parkingCard_.price(), parkingHost_.price())
                                       : (function.shelf ? card_ : cpu_).price();
  return price > 0 ? kFar * price * gibOf(function) / std::min(1.0, startCost(function)) : 1;
}

// Closes the steps that are over by now, and looks at those that begin.
void Planner::Core::enterSteps(const Function& function, IdleWatch& watch, std::size_t rank) {
  const double enough = clearlyWorth(function);
  while (!watch.over() && watch.nextEdge() <= now_) {
    closeStep(function, watch, idleEdge(watch.step + 1), Ending::Unwanted);
    if (++watch.step >= kIdleSteps) return decide(function, watch);
    const Outlook outlook = function.habits->arrivals.outlook(now_, rank);
    const ReturnModel::Look look = model_.look(outlook, watch.step, enough);
    watch.signs = look.signs;
    watch.seen = true;
    watch.worst = std::min(watch.worst, look.worth);
    watch.worstOnCard = std::min(watch.worstOnCard, look.worth);
    if (rank == 0) watch.worstOnCard = std::min(watch.worstOnCard, worthBeforeCall(function));
    decide(function, watch);
  }
}

// What the model holds it by, which may not be what is done: see followLeader.
void Planner::Core::decide(const Function& function, IdleWatch& watch) const {
  const Duration idle = now_ - watch.since;
  const double gib = watch.over() ? std::numeric_limits<double>::infinity() : gibOf(function);
  const double onCard = watch.worstOnCard / gib, cost = startCost(function);
  const auto endBelow = [idle](Duration& held, double worth, double price) {
    if (held == Duration::max() && worth < price) held = idle;
  };
  if (!parks(function)) {
    return endBelow(watch.kept, onCard * cost, (function.shelf ? card_ : cpu_).price());
  }
  endBelow(watch.onCard, onCard, parkingCard_.price());
  if (watch.onCard == Duration::max()) return;
  if (idle < std::min(kParkFloor, function.keepAlive.idleTimeout)) return;
  endBelow(watch.kept, watch.worst / gib * cost, parkingHost_.price());
}

// As the model holds it, where the model has served more than the rule would have; else as the rule
// does.
void Planner::Core::followLeader(Instance& instance) {
  const Function& function = *instance.function;
  const HoldRule rule = ruleOf(function.keepAlive, parks(function));
  const auto times = [](const HoldingPrice& price, Duration byModel, Duration byRule) {
    return price.leads() ? std::min(byModel, kForever) : byRule;
  };
  if (!parks(function)) {
    const HoldingPrice& price = function.shelf ? card_ : cpu_;
    instance.rule.idleTimeout = times(price, instance.watch.kept, rule.kept);
    return;
  }
  if (!instance.ahead) {
    instance.rule.parkAfter = times(parkingCard_, instance.watch.onCard, rule.onCard);
  }
  instance.rule.idleTimeout = times(parkingHost_, instance.watch.kept, rule.kept);
}

void Planner::Core::reviewIdle(Instance& instance) {
  const Function& function = *instance.function;
  if (instance.watch.nextEdge() > now_) return;
  enterSteps(function, instance.watch, rankOf(instance));
  const bool parked = instance.state == InstanceState::Parked;
  if (parked) parkedByWorth_.erase({instance.worth, instance.idleOrder, &instance});
  instance.worth = instance.watch.worst * startCost(function) / gibOf(function);
  if (parked) parkedByWorth_.insert({instance.worth, instance.idleOrder, &instance});
  if (!instance.kept) followLeader(instance);
}

// It is wanted again, idle or parked.
void Planner::Core::noteWanted(Instance& instance) {
  Function& function = *instance.function;
  if (!learns(function)) return;
  if (instance.spare) return closeParkedSpare(instance, true);
  if (instance.ahead && function.habits->spare) return closeSpare(instance, true);
  if (instance.spareUntil) return noteUsed(instance, true, *instance.spareUntil);
  if (instance.ahead && instance.watch.over()) return noteStart(function);
  noteIdleEnds(instance);
}

void Planner::Core::noteIdleEnds(Instance& instance) {
  Function& function = *instance.function;
  enterSteps(function, instance.watch, rankOf(instance));
  const bool met = std::exchange(function.habits->metAhead, false);
  closeStep(function, instance.watch, now_ - instance.watch.since,
            met ? Ending::MetAhead : Ending::Wanted);
  fadePrices();
}

// It is given up unused. What becomes of it now is only thought.
void Planner::Core::noteGivenUp(Instance& instance) {
  Function& function = *instance.function;
  if (!learns(function) || instance.watch.over()) return;
  Habits& habits = *function.habits;
  if (habits.ghostCount == Habits::kGhosts) dropGhost(habits, 0);
  habits.ghosts[habits.ghostCount++] = instance.watch;
  armGhosts(function);
}

// A start is needed, or was ahead: the instance given up last would have served.
void Planner::Core::noteStart(Function& function) {
  if (!learns(function) || function.habits->ghostCount == 0) return;
  Habits& habits = *function.habits;
  IdleWatch& ghost = habits.ghosts[habits.ghostCount - 1];
  enterSteps(function, ghost, static_cast<std::size_t>(function.pool->busy));
  const bool met = std::exchange(function.habits->metAhead, false);
  closeStep(function, ghost, now_ - ghost.since, met ? Ending::MetAhead : Ending::Wanted);
  --habits.ghostCount;
  fadePrices();
}

void Planner::Core::fadePrices() {
  ++learned_;
  const double passed = toSeconds(now_ - fadedAt_);
  fadedAt_ = now_;
  for (HoldingPrice* price : {&parkingCard_, &parkingHost_, &card_, &cpu_}) price->fade(passed);
}

void Planner::Core::dropGhost(Habits& habits, std::size_t index) {
  const auto begin = habits.ghosts.begin();
  const auto at = begin + static_cast<std::ptrdiff_t>(index);
  std::move(at + 1, begin + static_cast<std::ptrdiff_t>(habits.ghostCount), at);
  --habits.ghostCount;
}

void Planner::Core::armGhosts(Function& function) {
  Habits& habits = *function.habits;
  std::optional<Instant> due;
  for (std::size_t i = 0; i < habits.ghostCount; ++i) {
    const Instant edge = habits.ghosts[i].nextEdge();
    due = due ? std::min(*due, edge) : edge;
  }
  if (due == habits.ghostTimer) return;
  cancelGhosts(function);
  if (!due) return;
  habits.ghostTimer = due;
  timers_.add({*due, TimerKind::Ghost, function.key.value()});
}

void Planner::Core::cancelGhosts(Function& function) {
  if (!function.habits || !function.habits->ghostTimer) return;
  timers_.remove({*function.habits->ghostTimer, TimerKind::Ghost, function.key.value()});
  function.habits->ghostTimer.reset();
}

void Planner::Core::onGhostTimer(Function& function) {
  Habits& habits = *function.habits;
  habits.ghostTimer.reset();
  std::size_t before = 0;  // who would serve before the ghosts
  if (function.pool) {
    before = static_cast<std::size_t>(std::max(function.pool->serving(), function.pool->busy) +
                                      function.pool->parkedOrParking());
    // One that is there for an expected request stands in for the last of them.
    const Instance* ahead = function.pool->ahead;
    const Instance* parked = function.pool->parked.front();
    if (ahead && ahead->serving() && ahead->watch.over()) --before;
    if (parked && parked->spare) --before;
  }
  for (std::size_t i = habits.ghostCount; i-- > 0;) {
    enterSteps(function, habits.ghosts[i], before + (habits.ghostCount - 1 - i));
    if (habits.ghosts[i].over()) dropGhost(habits, i);
  }
  armGhosts(function);
}

void Planner::Core::noteReady(const Instance& instance, Duration took) {
  Function& function = *instance.function;
  if (!learns(function)) return;
  const double seconds = toSeconds(took);
  Habits& habits = *function.habits;
  habits.starts = std::min(habits.starts + 1, kStartsRemembered);
  habits.startSeconds += (seconds - habits.startSeconds) / habits.starts;
  allStarts_ = std::min(allStarts_ + 1, 4 * kStartsRemembered);
  meanStart_ += (seconds - meanStart_) / allStarts_;
}

}  // namespace okibi::planner
