// The states of an instance, and what is counted and listed by them.

#include "planner/claims.h"
#include "planner/core.h"

namespace okibi::planner {
namespace {

void change(Allowance& allowance, Claim from, Claim to) {
  const auto count = [&allowance](Claim claim, int change) {
    if (claim == Claim::Promised) allowance.promised += change;
    if (claim == Claim::Held || claim == Claim::Leaving) allowance.held += change;
    if (claim == Claim::Leaving) allowance.leaving += change;
  };
  count(from, -1);
  count(to, +1);
  allowance.settleLimit();
}

// Whether others may hope for what was given back or will be.
bool frees(Claim from, Claim to) {
  return from != to && (to == Claim::None || to == Claim::Leaving);
}

// Whether it is in the list, which is in the order of `key`, as it is to be.
template <typename List, typename Key>
void relink(List& list, Instance& instance, bool belongs, Key key) {
  if (belongs == List::linked(instance)) return;
  if (!belongs) return list.erase(instance);
  Instance* before = list.back();
  while (before && key(*before) > key(instance)) before = List::previous(*before);
  list.insertAfter(before, instance);
}

}  // namespace

void Planner::Core::move(Instance& instance, InstanceState to) {
  const InstanceState from = instance.state;
  OKIBI_CHECK(mayMove(from, to), "instance {}: {} to {}", instance.id.value(), toString(from),
              toString(to));
  InstancePool& pool = *instance.function->pool;
  pool.count(from, -1);
  pool.count(to, +1);
  instance.state = to;
  instance.since = now_;
  book(instance, from, to);
  const bool leaves =
      to == InstanceState::Draining || to == InstanceState::Stopping || to == InstanceState::Gone;
  if (instance.kept && leaves) {
    instance.kept = false;
    --instance.function->kept;
  }
  // Whatever took it: what a bounded function wants depends on what it has.
  const Function& function = *instance.function;
  if (pool.line && leaves) unsettled_.push_back(function.key);  // it holds less
  const bool bounded = function.minimum > 0 || function.group->most ||
                       function.demand == FunctionPlan::Demand::KeptOnly;
  if (bounded && (leaves || from == InstanceState::Parked)) unsettled_.push_back(function.key);
  const bool rests = to == InstanceState::Parking || to == InstanceState::Parked;
  if (instance.ahead && (leaves || rests)) setAhead(instance, false);
  updateServing(instance);
  updateParked(instance);
  updateLoad(instance);
}

void Planner::Core::book(Instance& instance, InstanceState from, InstanceState to) {
  Account& account = *instance.function->account;
  const Claim had = quotaClaim(from), has = quotaClaim(to);
  change(account.instances, had, has);
  bool freed = frees(had, has);
  if (instance.waits()) {
    account.placing.insert(instance.id);
  } else {
    account.placing.erase(instance.id);
  }
  if (instance.function->shelf) freed = bookCard(instance, from, to) || freed;
  if (freed) markDirty(account);
}

// What accounts hold decides who is served next.
void Planner::Core::noteHolding(Shelf& shelf, const Account& account, Bytes change) {
  Bytes& holds = shelf.holdings[account.id];
  holds += change;
  shelf.line.setShare(account.id, holds.count() / account.weight);
}

// True: something of the account's card quota was given back.
bool Planner::Core::bookCard(Instance& instance, InstanceState from, InstanceState to) {
  Function& function = *instance.function;
  Shelf& shelf = *function.shelf;
  const Claim had = cardClaim(from, instance.card != nullptr);
  const Claim has = cardClaim(to, instance.card != nullptr);
  if (instance.waits()) {
    shelf.placing.insert(instance.id);
  } else {
    shelf.placing.erase(instance.id);
  }
  if (had == has) return false;
  const auto keeps = [](Claim claim) { return claim == Claim::Promised || claim == Claim::Held; };
  if (keeps(had) != keeps(has)) {
    noteHolding(shelf, *function.account, keeps(has) ? function.slice : Bytes() - function.slice);
  }
  change(function.account->cards, had, has);
  if (had == Claim::None) {
    OKIBI_CHECK(has == Claim::Promised, "instance {}", instance.id.value());
    ledger_.claim(*instance.card, function.slice, instance.id);
  } else if (had == Claim::Promised) {
    ledger_.unclaim(*instance.card, function.slice, instance.id);
    if (has == Claim::Held) ledger_.hold(*instance.card, function.slice, instance.id);
  } else if (has == Claim::Leaving) {
    ledger_.markLeaving(*instance.card, function.slice);
  } else {
    ledger_.giveBack(*instance.card, function.slice, instance.id,
                     had == Claim::Leaving ? SliceLedger::Leaving::Yes : SliceLedger::Leaving::No);
  }
  if (has == Claim::None) instance.card = nullptr;  // a lost card may be forgotten by now
  if (!frees(had, has)) return false;
  markDirty(shelf);
  return true;
}

// Who is kept is in none of them, so that nobody looks past them. Who is kept no more takes the
// place that its time gives it.
void Planner::Core::updateRoomMakers(Instance& instance) {
  const Function& function = *instance.function;
  Account& account = *function.account;
  const bool mayGo = !instance.kept;
  const auto idleOrder = [](const Instance& i) { return i.idleOrder; };
  const auto readySince = [](const Instance& i) { return i.readySince; };
  const bool serving = mayGo && instance.wasServing, idle = serving && instance.wasIdle;
  relink(function.shelf ? account.idleGpu : account.idleCpu, instance, idle, idleOrder);
  relink(function.shelf ? account.servingGpu : account.servingCpu, instance, serving, readySince);
  relink(account.parked, instance, mayGo && instance.parkedLink.linked,
         [](const Instance& i) { return i.since; });
  if (!function.shelf) return;
  relink(function.shelf->idle, instance, idle, idleOrder);
  relink(function.shelf->serving, instance, serving, readySince);
}

void Planner::Core::updateServing(Instance& instance) {
  Function& function = *instance.function;
  if (instance.serving() == instance.wasServing) return;
  instance.wasServing = instance.serving();
  if (instance.health == Health::Unhealthy) {
    function.pool->unhealthy += instance.serving() ? 1 : -1;
  }
  if (instance.serving()) {
    instance.readySince = now_;
  } else {
    disarmIdleTimer(instance);
  }
  updateRoomMakers(instance);
}

void Planner::Core::updateParked(Instance& instance) {
  InstancePool& pool = *instance.function->pool;
  const bool parked = instance.state == InstanceState::Parked;
  if (parked == instance.parkedLink.linked) return;
  if (parked) {
    if (instance.spare) {
      pool.parked.insertAfter(nullptr, instance);
    } else {
      pool.parked.pushBack(instance);
    }
    parkedByWorth_.insert({instance.worth, instance.idleOrder, &instance});
    armIdleTimer(instance);
    markDirty(*instance.function->account);  // it can make room in the quota now
  } else {
    pool.parked.erase(instance);
    parkedByWorth_.erase({instance.worth, instance.idleOrder, &instance});
    closeParkedSpare(instance, false);
    disarmIdleTimer(instance);
  }
  updateRoomMakers(instance);
}

// After every change of the requests in flight, and of the state.
void Planner::Core::updateLoad(Instance& instance) {
  Function& function = *instance.function;
  const bool idle = instance.isIdle();
  if (instance.busy == instance.inFlight.empty()) {
    instance.busy = !instance.busy;
    function.pool->busy += instance.busy ? 1 : -1;
  }
  if (idle && !instance.wasIdle) {
    instance.wasIdle = true;
    instance.idleSince = now_;
    if (instance.spareUntil) spareAgain(instance);
    instance.idleOrder = ++lastIdle_;
    setRule(instance);
    updateRoomMakers(instance);
    armIdleTimer(instance);
    // It can make room for others now.
    markDirty(*function.account);
    if (function.shelf) markDirty(*function.shelf);
  } else if (!idle && instance.wasIdle) {
    instance.wasIdle = false;
    if (instance.busy) noteWanted(instance);
    if (instance.ahead) setAhead(instance, false);
    updateRoomMakers(instance);
  }
  function.pool->updateRoom(instance);
}

void Planner::Core::release(Instance& instance, StopReason reason, std::string detail) {
  switch (instance.state) {
    case InstanceState::Placing:
      return forget(instance);
    case InstanceState::Starting:
    case InstanceState::Initializing:
    case InstanceState::Parking:
    case InstanceState::Parked:
    case InstanceState::Waking:
      return stop(instance, reason, std::move(detail));
    case InstanceState::Recalled:
      move(instance, InstanceState::Parked);  // it was promised a card, and has none
      return stop(instance, reason, std::move(detail));
    case InstanceState::Ready:
    case InstanceState::Frozen:
      requeueWaiting(instance);
      if (instance.unused()) return stop(instance, reason, std::move(detail));
      if (instance.sessions > 0) emit(EndSessions{instance.id});
      instance.stopReason = reason;
      instance.stopDetail = std::move(detail);
      return move(instance, InstanceState::Draining);
    case InstanceState::Draining:
    case InstanceState::Stopping:
    case InstanceState::Gone:
      return;  // on its way already
  }
}

bool Planner::Core::thaw(Instance& instance) {
  if (instance.state != InstanceState::Frozen) return false;
  emit(Thaw{instance.id});
  move(instance, InstanceState::Ready);
  return true;
}

void Planner::Core::stop(Instance& instance, StopReason reason, std::string detail) {
  OKIBI_CHECK(instance.unused(), "instance {}: {} in flight, {} sessions", instance.id.value(),
              instance.inFlight.size(), instance.sessions);
  const bool ready = instance.serving() || instance.state == InstanceState::Draining;
  const bool usable = ready && reason != StopReason::CardLost && reason != StopReason::Broken;
  if (instance.state == InstanceState::Frozen) emit(Thaw{instance.id});
  move(instance, InstanceState::Stopping);
  hostLeaving_ += instance.hostMemory;
  emit(StopInstance{instance.id, reason, usable ? PreStop::Run : PreStop::Skip, std::move(detail)});
}

void Planner::Core::forget(Instance& instance) {
  if (instance.state == InstanceState::Stopping) hostLeaving_ -= instance.hostMemory;
  move(instance, InstanceState::Gone);
  releaseHostMemory(instance);
  instance.function->pool->instances.erase(instance);
  countInGroup(*instance.function, -1);
  maybeAsleep_.push_back(instance.function->key);
  instances_.erase(InstanceId(instance.id));
}

void Planner::Core::withdraw(Instance& instance) {
  if (instance.state == InstanceState::Placing) return forget(instance);
  move(instance, InstanceState::Parked);
  if (draining_) release(instance, StopReason::Drain);
}

void Planner::Core::startFailed(Function& function, const Error& error) {
  InstancePool& pool = *function.pool;
  ++function.startFailures;
  delayMinimum(function);
  const std::size_t coming = pool.comingSlots();
  const std::size_t uncovered = pool.queue.size() > coming ? pool.queue.size() - coming : 0;
  std::size_t refused = uncovered;
  if (function.startFailures < config_.startFailuresInRow) {
    refused = std::min(uncovered, static_cast<std::size_t>(function.concurrency));
  }
  for (; refused > 0; --refused) refuse(*pool.queue.front(), error);
}

Hold Planner::Core::holdOf(const Instance& instance) {
  if (instance.state == InstanceState::Parked) return Hold::Parked;
  return instance.state == InstanceState::Frozen ? Hold::Frozen : Hold::Running;
}

void Planner::Core::armIdleTimer(Instance& instance) {
  Instant due = nextIdleStep(instance.rule, instance.idleSince, holdOf(instance)).at;
  if (learns(*instance.function)) due = std::min(due, instance.watch.nextEdge());
  // An earlier timer stays: it looks again when it fires, which is cheaper than moving it each
  // time.
  if (instance.timer && *instance.timer <= due) return;
  disarmIdleTimer(instance);
  instance.timer = due;
  timers_.add({due, TimerKind::Idle, instance.id.value()});
}

void Planner::Core::disarmIdleTimer(Instance& instance) {
  if (!instance.timer) return;
  timers_.remove({*instance.timer, TimerKind::Idle, instance.id.value()});
  instance.timer.reset();
}

void Planner::Core::onIdleTimer(Instance& instance) {
  instance.timer.reset();
  if (!instance.isIdle() && instance.state != InstanceState::Parked) return;
  if (learns(*instance.function)) reviewIdle(instance);
  // A late timer may find it due for release without having been frozen or parked.
  if (nextIdleStep(instance.rule, instance.idleSince, Hold::Parked).at <= now_) {
    noteGivenUp(instance);
    return release(instance, StopReason::IdleTimeout);
  }
  IdleStep step = nextIdleStep(instance.rule, instance.idleSince, holdOf(instance));
  if (step.at <= now_ && step.action == IdleAction::Freeze) {
    emit(Freeze{instance.id});
    move(instance, InstanceState::Frozen);
    step = nextIdleStep(instance.rule, instance.idleSince, Hold::Frozen);
  }
  if (step.at <= now_ && step.action == IdleAction::Park) {
    if (park(instance)) return;
    if (instance.ahead && instance.watch.over()) return release(instance, StopReason::IdleTimeout);
    instance.rule.parkAfter = now_ - instance.idleSince + kParkRetry;
  }
  armIdleTimer(instance);
}

void Planner::Core::releaseIfShuttingDown(Instance& instance) {
  if (draining_ && instance.serving() && instance.inFlight.empty()) {
    release(instance, StopReason::Drain);
  }
}

}  // namespace okibi::planner
