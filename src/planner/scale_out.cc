// From the queue to new instances: how many, where, and who waits for what.

#include <algorithm>

#include <fmt/format.h>

#include "planner/core.h"
#include "planner/explain.h"

namespace okibi::planner {

void Planner::Core::settle(Function& function, const Instance* fresh, Warmth warmth) {
  if (!function.pool) return;
  InstancePool& pool = *function.pool;
  while (!pool.queue.empty()) {
    Instance* instance = pickWithRoom(function);
    if (!instance) break;
    dispatch(*pool.queue.front(), *instance, instance == fresh ? warmth : Warmth::Warm);
  }
  pullWaiting(function);
  refuseOverdue(function);
  decideWhoWaits(function);
  relyOnAhead(function);
  settleMinimum(function);
  makeRoomBelowCap(function);
  while (pool.hasSpare(function.minimum)) {
    const bool needed = pool.here() <= function.minimum;
    // The youngest start is withdrawn: the others have waited longer for what they were promised.
    Instance* newest = pool.newest(InstanceState::Placing);
    withdraw(newest && !needed ? *newest : *pool.newest(InstanceState::Recalled));
  }
  if (wanted(function) == 0) {
    stopWaiting(function);
    if (pool.empty()) maybeAsleep_.push_back(function.key);  // it waited for its minimum only
  } else if (!pool.line || waitsForNothing(function)) {
    if (pool.line) exitLine(function);
    joinLine(function, function.shelf ? Shortage::Cards : Shortage::InstanceQuota);
  } else if (pool.place != placeInLine(function, pool.lineShortage)) {
    const Shortage shortage = pool.lineShortage;
    exitLine(function);
    joinLine(function, shortage);
  }
}

// Who is woken needs no instance more, and is not to stand behind those who do.
bool Planner::Core::waitsForNothing(const Function& function) const {
  const Shortage shortage = function.pool->lineShortage;
  return (shortage == Shortage::InstanceQuota || shortage == Shortage::StartQuota) &&
         toRecall(function) != nullptr;
}

int Planner::Core::wanted(const Function& function) const {
  const InstancePool& pool = *function.pool;
  // A cap bounds what is made; what is parked is there already.
  const int room = std::max(0, function.group->room());
  const int parked = static_cast<int>(pool.parked.size());
  const bool starts = function.demand == FunctionPlan::Demand::Starts && room > 0;
  const int forQueue = starts ? pool.shortfall() : std::min(pool.shortfall(), parked);
  const int shortfall = std::max(std::min(forQueue, parked + std::min(room, forQueue)),
                                 std::min(missing(function), room));
  if (shortfall == 0 || function.startFailures < config_.startFailuresInRow) return shortfall;
  // Starts are tried one at a time; who is parked has started long ago.
  const int wakes = std::min(pool.shortfall(), parked);
  return std::max(wakes, pool.placing() + pool.starting() == 0 ? 1 : 0);
}

WaitingLine& Planner::Core::lineFor(const Function& function, Shortage shortage) {
  switch (shortage) {
    case Shortage::CardQuota:
      return function.account->cardLine;
    case Shortage::InstanceQuota:
      return function.account->instanceLine;
    case Shortage::StartQuota:
      return function.account->startLine;
    case Shortage::Runtime:
      return runtimeLine_;
    case Shortage::Cards:
    case Shortage::None:
      break;
  }
  OKIBI_CHECK(shortage == Shortage::Cards && function.shelf, "function {}", function.key.value());
  return function.shelf->line;
}

WaitingLine::Place Planner::Core::placeInLine(Function& function, Shortage shortage) {
  const InstancePool& pool = *function.pool;
  noteMissing(function);
  const Request* request = pool.queue.at(pool.comingSlots());
  // What is missing of its minimum may have waited longer than its requests.
  std::uint64_t arrival = request ? request->arrival : function.ticket;
  if (function.ticket != 0) arrival = std::min(arrival, function.ticket);
  OKIBI_CHECK(arrival != 0, "function {} wants nothing", function.key.value());
  return {.slice = shortage == Shortage::Cards ? function.slice : Bytes(),
          .account = function.account->id,
          .share = shareOf(function, shortage),
          .arrival = arrival,
          .since = pool.since};
}

// What it holds of what it waits for, by its weight.
std::int64_t Planner::Core::shareOf(const Function& function, Shortage shortage) const {
  constexpr std::int64_t kWhole = 1 << 20;
  const InstancePool& pool = *function.pool;
  if (shortage == Shortage::Runtime) return 0;
  const std::int64_t onCards = pool.placing() + pool.starting() + pool.serving();
  if (shortage == Shortage::Cards) return cardShare(function);
  return onCards * kWhole / function.weight;
}

// Its turn is over: those it was before come before it, when all is equal.
void Planner::Core::wasServed(Function& function) {
  InstancePool& pool = *function.pool;
  if (!pool.line) return;
  pool.line->passTurn();
  pool.since = pool.line->turns();
  if (wanted(function) == 0) return stopWaiting(function);
  pool.line->leave(*pool.place);
  pool.place = placeInLine(function, pool.lineShortage);
  pool.line->join(*pool.place, function);
}

void Planner::Core::joinLine(Function& function, Shortage shortage) {
  InstancePool& pool = *function.pool;
  OKIBI_CHECK(!pool.line, "function {}", function.key.value());
  pool.line = &lineFor(function, shortage);
  pool.lineShortage = shortage;
  if (pool.sinceLine != pool.line) pool.since = pool.line->turns();
  pool.sinceLine = pool.line;
  pool.place = placeInLine(function, shortage);
  pool.line->join(*pool.place, function);
  countWaiting(function, 1);
  armYield(function);
  if (shortage == Shortage::Cards) {
    markDirty(*function.shelf);
  } else if (shortage != Shortage::Runtime) {
    markDirty(*function.account);
  }
}

void Planner::Core::exitLine(Function& function) {
  InstancePool& pool = *function.pool;
  pool.line->leave(*pool.place);
  pool.line = nullptr;
  pool.place.reset();
  countWaiting(function, -1);
}

void Planner::Core::countWaiting(Function& function, int more) {
  function.account->waiting += more;
  if (function.shelf) function.shelf->waiting += more;
}

void Planner::Core::stopWaiting(Function& function) {
  InstancePool& pool = *function.pool;
  if (pool.line) exitLine(function);
  pool.sinceLine = nullptr;
  if (pool.yieldTimer) timers_.remove({*pool.yieldTimer, TimerKind::Yield, function.key.value()});
  pool.yieldTimer.reset();
  if (pool.placing() == 0) pool.shortage = Shortage::None;
}

void Planner::Core::armYield(Function& function) {
  InstancePool& pool = *function.pool;
  if (pool.yieldTimer) return;
  pool.yieldTimer = now_ + config_.yieldAfter;
  timers_.add({*pool.yieldTimer, TimerKind::Yield, function.key.value()});
}

// Somebody has waited long: who is next in that line may make others yield.
void Planner::Core::onYield(Function& function) {
  InstancePool& pool = *function.pool;
  pool.yieldTimer.reset();
  armYield(function);
  Function& first = *pool.line->first(std::nullopt);
  if (wanted(first) > 0) {
    if (acquire(first, now_ - config_.yieldAfter) != Shortage::None) return;
    wasServed(first);
  }
  settle(first);
}

void Planner::Core::serveLine(WaitingLine& line) {
  std::optional<Bytes> below;  // slices from this size on are known to find no place
  while (Function* function = line.first(below)) {
    InstancePool& pool = *function->pool;
    if (wanted(*function) == 0) {
      stopWaiting(*function);
      if (pool.empty()) maybeAsleep_.push_back(function->key);
      continue;
    }
    if (const auto place = placeInLine(*function, pool.lineShortage); place != *pool.place) {
      line.leave(*pool.place);
      pool.place = place;
      line.join(place, *function);
      continue;
    }
    const Shortage shortage = acquire(*function, std::nullopt);
    if (shortage == Shortage::None) {
      wasServed(*function);
      continue;
    }
    pool.shortage = shortage;
    if (shortage == pool.lineShortage) {
      below = pool.place->slice;
    } else {
      exitLine(*function);
      joinLine(*function, shortage);
    }
  }
}

// Who is parked is woken for requests only; the minimum counts it where it is.
Instance* Planner::Core::toRecall(const Function& function) {
  return function.pool->shortfall() > 0 ? function.pool->parked.back() : nullptr;
}

Shortage Planner::Core::acquire(Function& function, YieldRule readyBefore) {
  if (runtimeDown_) return Shortage::Runtime;
  if (!toRecall(function) && !mayStart(*function.account)) {
    armStarts(*function.account);
    return Shortage::StartQuota;
  }
  std::optional<Placement> placement;
  if (function.shelf) placement = placeSlice(function, readyBefore);
  std::vector<Instance*> victims;
  if (placement) victims = placement->victims;
  if (Shortage s = makeQuota(function, readyBefore, victims); s != Shortage::None) return s;
  if (function.shelf && !placement) return Shortage::Cards;
  std::string why = placement ? whyCard(function, *placement) : std::string();
  Instance* parked = toRecall(function);
  spared_ = parked;
  const bool mayPark = parked || function.account->instances.canPromise();
  for (Instance* victim : victims) {
    const std::string detail = roomFor(function, *victim->function);
    if (mayPark) {
      vacate(*victim, detail);
    } else {
      release(*victim,
              victim->serving() && !victim->isIdle() ? StopReason::Yielded : StopReason::MadeRoom,
              detail);
    }
  }
  spared_ = nullptr;
  if (parked) {
    parked->whyCard = std::move(why);
    recall(*parked, *placement->card);
  } else {
    create(function, placement ? placement->card : nullptr, Start::Needed, std::move(why));
  }
  return Shortage::None;
}

std::string Planner::Core::whyCard(const Function& function, const Placement& placement) {
  const CardBook& card = *placement.card;
  const CardChoice choice = !placement.victims.empty()         ? CardChoice::MadeRoom
                            : card.bookable() < function.slice ? CardChoice::IsGivenBack
                                                               : CardChoice::Fits;
  return cardReason(card, choice, function.slice, placement.victims.size());
}

// Adds to the victims until the account's quota admits one more instance of the function.
Shortage Planner::Core::makeQuota(const Function& function, YieldRule readyBefore,
                                  std::vector<Instance*>& victims) const {
  const Account& account = *function.account;
  const auto lacking = [&](const Allowance& allowance, QuotaKind kind) {
    const auto relief = std::ranges::count_if(victims, [&](const Instance* victim) {
      return victim->function->account == &account &&
             (kind == QuotaKind::AllInstances || victim->card);
    });
    return allowance.held - allowance.leaving + allowance.promised - relief >= allowance.limit;
  };
  if (function.shelf && lacking(account.cards, QuotaKind::GpuInstances)) {
    Instance* victim = pickForQuota(function, QuotaKind::GpuInstances, readyBefore, victims);
    if (!victim) return Shortage::CardQuota;
    victims.push_back(victim);
  }
  const bool recalls = toRecall(function) != nullptr;
  if (!recalls && lacking(account.instances, QuotaKind::AllInstances)) {
    Instance* victim = pickForQuota(function, QuotaKind::AllInstances, readyBefore, victims);
    if (!victim) return Shortage::InstanceQuota;
    victims.push_back(victim);
  }
  return Shortage::None;
}

void Planner::Core::create(Function& function, CardBook* card, Start why, std::string whyCard) {
  Account& account = *function.account;
  const InstanceId id(++lastInstance_);
  Instance& instance = instances_[id];
  instance.id = id;
  instance.function = &function;
  instance.since = now_;
  instance.whyCard = std::move(whyCard);
  const bool ahead = why == Start::Ahead;
  instance.reason = ahead ? aheadReason(Ahead::Started) : startReason(function);
  if (ahead) {
    instance.watch.step = kIdleSteps;  // its idle time is another's, given up before
    setAhead(instance, true);
  } else {
    noteStart(function);
  }
  function.pool->count(InstanceState::Placing, +1);
  function.pool->instances.pushBack(instance);
  countInGroup(function, +1);
  ++account.instances.promised;
  account.placing.insert(id);
  if (card) {
    noteHolding(*function.shelf, account, function.slice);
    instance.card = card;
    ++account.cards.promised;
    ledger_.claim(*card, function.slice, id);
    function.shelf->placing.insert(id);
  }
  settleMinimum(function);
  // What is only expected waits for nothing.
  if (!tryStart(instance) && why == Start::Ahead) withdraw(instance);
}

bool Planner::Core::tryStart(Instance& instance) {
  Function& function = *instance.function;
  Account& account = *function.account;
  const bool recalled = instance.state == InstanceState::Recalled;
  if (!recalled && !account.instances.hasFree()) return false;
  if (!recalled && !account.starts.has(now_)) {
    armStarts(account);
    return false;
  }
  std::optional<Slice> slice;
  if (function.shelf) {
    if (!account.cards.hasFree()) return false;
    if (function.slice > instance.card->free()) {
      // What it was promised is not back yet; another card may have come free meanwhile.
      CardBook* other = bookableCard(*function.shelf, function.slice);
      if (!other) return false;
      instance.whyCard = cardReason(*other, CardChoice::Fits, function.slice, 0);
      ledger_.unclaim(*instance.card, function.slice, instance.id);
      ledger_.claim(*other, function.slice, instance.id);
      instance.card = other;
      markDirty(*function.shelf);
    }
    slice = Slice{instance.card->id, function.slice};
  }
  if (recalled) {
    move(instance, InstanceState::Waking);
    emit(Wake{instance.id, *slice, instance.whyCard, instance.ahead});
    return true;
  }
  account.starts.take(now_);
  if (!account.startLine.empty()) markDirty(account);
  instance.startedAt = now_;
  move(instance, InstanceState::Starting);
  // The queue may have been all that somebody was called back for.
  if (function.pool->recalled() > 0) unsettled_.push_back(function.key);
  emit(StartInstance{instance.id, function.key, slice, instance.reason, instance.whyCard,
                     instance.ahead});
  return true;
}

void Planner::Core::startPlaced(const std::set<InstanceId>& placing) {
  const std::vector<InstanceId> inOrder(placing.begin(), placing.end());
  for (InstanceId id : inOrder) {
    Instance* instance = findInstance(id);
    if (instance && instance->waits() && !wakeInstead(*instance)) tryStart(*instance);
  }
}

void Planner::Core::markDirty(Account& account) {
  if (account.dirty || (account.placing.empty() && account.cardLine.empty() &&
                        account.instanceLine.empty() && account.startLine.empty())) {
    return;
  }
  account.dirty = true;
  dirtyAccounts_.push_back(&account);
}

void Planner::Core::markDirty(Shelf& shelf) {
  if (shelf.dirty || (shelf.placing.empty() && shelf.line.empty())) return;
  shelf.dirty = true;
  dirtyShelves_.push_back(&shelf);
}

void Planner::Core::pump() {
  while (!unsettled_.empty() || !dirtyAccounts_.empty() || !dirtyShelves_.empty()) {
    if (!unsettled_.empty()) {
      const FunctionKey key = unsettled_.back();
      unsettled_.pop_back();
      if (Function* function = findFunction(key)) settle(*function);
    } else if (!dirtyAccounts_.empty()) {
      Account& account = *dirtyAccounts_.front();
      dirtyAccounts_.erase(dirtyAccounts_.begin());
      account.dirty = false;
      startPlaced(account.placing);
      serveLine(account.cardLine);
      serveLine(account.instanceLine);
      serveLine(account.startLine);
    } else {
      Shelf& shelf = *dirtyShelves_.front();
      dirtyShelves_.erase(dirtyShelves_.begin());
      shelf.dirty = false;
      startPlaced(shelf.placing);
      serveLine(shelf.line);
    }
  }
}

}  // namespace okibi::planner
