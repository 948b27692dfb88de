// Instances that are started, or woken, while others of the function are at work, because one more
// may be wanted at once. As in prewarming.cc: only where it pays by the price of what is held, out
// of the same budget, and only while it costs nobody anything.

#include <algorithm>
#include <utility>

#include "planner/core.h"

namespace okibi::planner {
namespace {

// The best time to be ready for one more, of a course of chances.
struct Stay {
  double until = 0;  // seconds after the request
  double worth = 0;  // what comes of it, per second held
};

// Up to some moment: what is gained, in instances that are there when one more is wanted (part of
// one that is still on its way), and how long one was on its way, and there.
struct Balance {
  double gain = 0, coming = 0, there = 0;
};

// The balance at each edge of the model's steps, for an instance that is there after `lead`.
std::array<Balance, BurstModel::kSteps> balances(const BurstModel::Course& course, double lead) {
  std::array<Balance, BurstModel::kSteps> all;
  Balance now;
  double left = 1;
  // One more is wanted with chance `wanted`, evenly between the two.
  const auto pass = [&](double from, double to, double wanted) {
    const double mean = (to - from) * (left - wanted / 2);
    if (from < lead) {
      now.coming += mean;
      now.gain += wanted * (from + to) / 2 / lead;
    } else {
      now.there += mean;
      now.gain += wanted;
    }
    left -= wanted;
  };
  for (std::size_t i = 0; i < BurstModel::kSteps; ++i) {
    const double from = BurstModel::kEdges[i], to = BurstModel::kEdges[i + 1];
    const double ready = std::clamp(lead, from, to);
    if (ready > from) pass(from, ready, course[i] * (ready - from) / (to - from));
    if (to > ready) pass(ready, to, course[i] * (to - ready) / (to - from));
    all[i] = now;
  }
  return all;
}

Stay bestStay(const BurstModel::Course& course, double lead) {
  Stay best;
  const auto all = balances(course, lead);
  for (std::size_t i = 0; i < BurstModel::kSteps; ++i) {
    if (BurstModel::kEdges[i + 1] <= lead) continue;
    const double worth = all[i].gain / (all[i].coming + all[i].there);
    if (worth > best.worth) best = {BurstModel::kEdges[i + 1], worth};
  }
  return best;
}

}  // namespace

// A request has come and is not counted yet; `level`: how many are then busy, if one more is.
void Planner::Core::followBursts(Habits& habits, std::optional<std::size_t> level) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < habits.burstCount; ++i) {
    BurstWatch& watch = habits.bursts[i];
    const double passed = toSeconds(now_ - watch.since);
    while (watch.step < BurstModel::kSteps && BurstModel::kEdges[watch.step + 1] <= passed) {
      bursts_.learn(watch.signs, watch.step++, false);
    }
    const bool over = watch.step == BurstModel::kSteps;
    const bool more = !over && level && *level > watch.level;
    if (more) bursts_.learn(watch.signs, watch.step, true);
    if (over || more) {
      habits.burstRates[std::min(watch.level, BurstModel::kLevels) - 1].count(more);
    } else {
      habits.bursts[kept++] = watch;
    }
  }
  habits.burstCount = kept;
}

// Where too many are watched, the oldest is forgotten.
const BurstModel::Signs& Planner::Core::watchBurst(Function& function) {
  Habits& habits = *function.habits;
  const auto level = static_cast<std::size_t>(function.pool->busy + function.pool->starting());
  if (habits.burstCount == habits.bursts.size()) {
    std::move(habits.bursts.begin() + 1, habits.bursts.end(), habits.bursts.begin());
    --habits.burstCount;
  }
  const Outlook atLeast = habits.arrivals.outlook(now_, level - 1);
  const Outlook more = habits.arrivals.outlook(now_, level);
  const BurstModel::Sight sight{level,
                                atLeast,
                                more,
                                toSeconds(burstGap_),
                                habits.burstCount,
                                habits.burstRates[std::min(level, BurstModel::kLevels) - 1]};
  BurstWatch& watch = habits.bursts[habits.burstCount++];
  watch = {now_, level, 0, BurstModel::read(sight)};
  return watch.signs;
}

// A request has found its place. Where nobody is left for one more, one comes, if it pays.
void Planner::Core::meetBurst(Function& function) {
  if (!learns(function) || !function.pool || function.minimum > 0) return;
  const InstancePool& pool = *function.pool;
  if (pool.ahead || pool.line || pool.placing() > 0 || pool.fullestWithRoom()) return;
  if (pool.busy + pool.starting() == 0 || pool.startingSlots() > pool.queue.size()) return;
  if (pool.parkedOrParking() > static_cast<int>(pool.parked.size())) return;
  const BurstModel::Signs& signs = watchBurst(function);
  const auto spare = callForBurst(function, bursts_.course(signs));
  if (!spare) return;
  Instance* parked = pool.parked.back();
  CardBook* card = function.shelf ? bookableCard(*function.shelf, function.slice) : nullptr;
  if (!mayPrewarm(function, card, parked == nullptr)) return;
  function.habits->spare = spare;
  callAhead(function, card, parked);
  if (!function.pool->ahead) function.habits->spare.reset();
}

// What is spared of `lead` by being there: without it one more is served by the first busy one that
// ends, if that is sooner than its own start.
double Planner::Core::sparedShare(const Function& function, double lead) const {
  if (config_.scaleOut == ScaleOut::PerRequest || !function.experience || lead <= 0) return 1;
  const auto service = function.experience->service.after(1);
  if (!service) return 1;
  const InstancePool& pool = *function.pool;
  const double busy = static_cast<double>(pool.busy) + static_cast<double>(pool.queue.size());
  return std::min(1.0, toSeconds(*service) / (busy + 1) / lead);
}

// It is there after `lead`, to the end of the time that is worth most. `value`: of one that is
// there when it is wanted, in the price's unit.
std::optional<Habits::Spare> Planner::Core::holdForBurst(const BurstModel::Course& course,
                                                         double lead, double value,
                                                         const HoldingPrice& price) const {
  const Stay stay = bestStay(course, lead);
  const double worth = stay.worth * value;
  if (price.price() <= 0 || worth < price.price() || !price.leads()) return std::nullopt;
  return Habits::Spare{now_, now_ + fromSeconds(stay.until), false, worth};
}

std::optional<Habits::Spare> Planner::Core::callForBurst(const Function& function,
                                                         const BurstModel::Course& course) const {
  if (!function.pool->parked.empty()) {
    if (!parks(function) || !function.experience->wake.after(1)) return std::nullopt;
    const double lead = wakeSeconds(function), spared = sparedShare(function, lead);
    return holdForBurst(course, lead, spared / gibOf(function), parkingCard_);
  }
  const double lead = function.habits->starts > 0 ? function.habits->startSeconds : meanStart_;
  const double starts = sparedShare(function, lead) * startCost(function);
  if (parks(function)) return parkForBurst(function, course, lead, starts);
  return holdForBurst(course, lead, starts / gibOf(function), aheadPrice(function));
}

// It takes the card for its start only, and waits in host memory. `value`: as holdForBurst's, of a
// start.
std::optional<Habits::Spare> Planner::Core::parkForBurst(const Function& function,
                                                         const BurstModel::Course& course,
                                                         double lead, double value) const {
  const double card = parkingCard_.price(), host = parkingHost_.price();
  if (card <= 0 || host <= 0 || !parkingHost_.leads()) return std::nullopt;
  if (hostHeld_ + function.slice > config_.hostMemory) return std::nullopt;
  const double gib = gibOf(function);
  const double wakes = std::max(1.0, lead / std::max(wakeSeconds(function), 1.0));
  const auto all = balances(course, lead);
  std::optional<Habits::Spare> best;
  double most = 0;
  for (std::size_t i = 0; i < BurstModel::kSteps; ++i) {
    if (BurstModel::kEdges[i + 1] <= lead) continue;
    const double started = all[i].coming, parked = all[i].there;
    const double gain = (wakes - 1) * all[i].gain * value - wakes * host * gib * parked;
    const double profit = gain - card * gib * started;
    if (profit <= most) continue;
    most = profit;
    best = Habits::Spare{now_, now_ + fromSeconds(BurstModel::kEdges[i + 1]), true,
                         gain / std::max(gib * started, 1e-3),
                         all[i].gain * value / std::max(gib * parked, 1e-3)};
  }
  return best;
}

// It was used, or is not held on a card any more.
void Planner::Core::closeSpare(Instance& instance, bool used) {
  Function& function = *instance.function;
  if (!function.habits || !function.habits->spare) return;
  const Habits::Spare spare = *std::exchange(function.habits->spare, std::nullopt);
  const double spent = gibOf(function) * toSeconds(now_ - spare.called);
  aheadPrice(function).count(spare.worth, spent, 0, spent);
  if (used) return noteUsed(instance, instance.serving(), spare.until);
  if (instance.state != InstanceState::Parking || !instance.watch.over()) return;
  instance.spare = true;
}

// One that was started for a burst and parked is wanted now, or given up.
void Planner::Core::closeParkedSpare(Instance& instance, bool used) {
  if (!instance.spare) return;
  instance.spare = false;
  const double spent = gibOf(*instance.function) * toSeconds(now_ - instance.idleSince);
  parkingHost_.count(instance.worth, spent, 0, spent);
  if (used) noteUsed(instance, true, instance.idleSince + instance.rule.idleTimeout);
}

// A request takes it. If one more was really wanted it stands in for the one given up last, and is
// from now on like any other.
void Planner::Core::noteUsed(Instance& instance, bool inTime, Instant until) {
  Function& function = *instance.function;
  if (!instance.watch.over()) {  // it was parked before
    function.habits->metAhead = inTime;
    return noteIdleEnds(instance);
  }
  if (function.habits->newestWaits) {
    instance.spareUntil = until;
    return;
  }
  instance.spareUntil.reset();
  function.habits->metAhead = inTime;
  noteStart(function);
}

// It has served who would have waited in line without it, and is idle again: there for others while
// it was to be, unless another is.
void Planner::Core::spareAgain(Instance& instance) {
  Function& function = *instance.function;
  instance.watch.step = kIdleSteps;
  if (function.pool->ahead || instance.kept) return;
  function.habits->spare = Habits::Spare{now_, *instance.spareUntil};
  setAhead(instance, true);
}

}  // namespace okibi::planner
