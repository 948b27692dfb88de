// The states of an instance, and what is counted and listed by them.

#include "planner/core.h"

namespace okibi::planner {
namespace {

bool isLeaving(InstanceState state) {
  return state == InstanceState::Draining || state == InstanceState::Stopping;
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
  updateServing(instance);
  updateLoad(instance);
}

void Planner::Core::book(Instance& instance, InstanceState from, InstanceState to) {
  Function& function = *instance.function;
  if (to == InstanceState::Gone) return giveBack(instance, from);
  if (from == InstanceState::Placing) return takeBooked(instance);
  if (!isLeaving(to) || isLeaving(from)) return;
  ++function.account->instances.leaving;
  markDirty(*function.account);
  if (!function.shelf) return;
  ++function.account->cards.leaving;
  ledger_.markLeaving(*instance.card, function.slice);
  markDirty(*function.shelf);
}

// What was promised is now held.
void Planner::Core::takeBooked(Instance& instance) {
  Function& function = *instance.function;
  Account& account = *function.account;
  --account.instances.promised;
  ++account.instances.held;
  account.placing.erase(instance.id);
  if (!function.shelf) return;
  --account.cards.promised;
  ++account.cards.held;
  function.shelf->placing.erase(instance.id);
  ledger_.unclaim(*instance.card, function.slice, instance.id);
  ledger_.hold(*instance.card, function.slice, instance.id);
}

void Planner::Core::giveBack(Instance& instance, InstanceState from) {
  Function& function = *instance.function;
  Account& account = *function.account;
  const auto release = [from](Allowance& allowance) {
    if (from == InstanceState::Placing) {
      --allowance.promised;
    } else {
      --allowance.held;
      if (isLeaving(from)) --allowance.leaving;
    }
  };
  release(account.instances);
  account.placing.erase(instance.id);
  if (function.shelf) {
    release(account.cards);
    function.shelf->placing.erase(instance.id);
    if (from == InstanceState::Placing) {
      ledger_.unclaim(*instance.card, function.slice, instance.id);
    } else {
      ledger_.giveBack(*instance.card, function.slice, instance.id,
                       isLeaving(from) ? SliceLedger::Leaving::Yes : SliceLedger::Leaving::No);
    }
    instance.card = nullptr;  // a lost card may be forgotten by now
    markDirty(*function.shelf);
  }
  markDirty(account);
}

void Planner::Core::updateServing(Instance& instance) {
  Function& function = *instance.function;
  auto& ofAccount = function.shelf ? function.account->servingGpu : function.account->servingCpu;
  const bool listed = instance.accountServing.linked;
  if (instance.serving() == listed) return;
  if (instance.serving()) {
    instance.readySince = now_;
    ofAccount.pushBack(instance);
    if (function.shelf) function.shelf->serving.pushBack(instance);
  } else {
    ofAccount.erase(instance);
    if (function.shelf) function.shelf->serving.erase(instance);
    disarmIdleTimer(instance);
  }
}

// After every change of the requests in flight, and of the state.
void Planner::Core::updateLoad(Instance& instance) {
  Function& function = *instance.function;
  auto& ofAccount = function.shelf ? function.account->idleGpu : function.account->idleCpu;
  const bool idle = instance.isIdle();
  if (idle && !instance.accountIdle.linked) {
    instance.idleSince = now_;
    instance.idleOrder = ++lastIdle_;
    ofAccount.pushBack(instance);
    if (function.shelf) function.shelf->idle.pushBack(instance);
    armIdleTimer(instance);
    // It can make room for others now.
    markDirty(*function.account);
    if (function.shelf) markDirty(*function.shelf);
  } else if (!idle && instance.accountIdle.linked) {
    ofAccount.erase(instance);
    if (function.shelf) function.shelf->idle.erase(instance);
  }
  function.pool->updateRoom(instance);
}

void Planner::Core::release(Instance& instance, StopReason reason, std::string detail) {
  switch (instance.state) {
    case InstanceState::Placing:
      return forget(instance);
    case InstanceState::Starting:
    case InstanceState::Initializing:
      return stop(instance, reason, std::move(detail));
    case InstanceState::Ready:
    case InstanceState::Frozen:
      requeueWaiting(instance);
      if (instance.inFlight.empty()) return stop(instance, reason, std::move(detail));
      instance.stopReason = reason;
      instance.stopDetail = std::move(detail);
      return move(instance, InstanceState::Draining);
    case InstanceState::Draining:
    case InstanceState::Stopping:
    case InstanceState::Gone:
      return;  // on its way already
  }
}

void Planner::Core::stop(Instance& instance, StopReason reason, std::string detail) {
  OKIBI_CHECK(instance.inFlight.empty(), "instance {}: {} in flight", instance.id.value(),
              instance.inFlight.size());
  const bool usable =
      !instance.starting() && reason != StopReason::CardLost && reason != StopReason::Broken;
  if (instance.state == InstanceState::Frozen) emit(Thaw{instance.id});
  move(instance, InstanceState::Stopping);
  emit(StopInstance{instance.id, reason, usable ? PreStop::Run : PreStop::Skip, std::move(detail)});
}

void Planner::Core::forget(Instance& instance) {
  move(instance, InstanceState::Gone);
  instance.function->pool->instances.erase(instance);
  maybeAsleep_.push_back(instance.function->key);
  instances_.erase(InstanceId(instance.id));
}

void Planner::Core::startFailed(Function& function, const Error& error) {
  InstancePool& pool = *function.pool;
  ++function.startFailures;
  const std::size_t coming = pool.comingSlots();
  const std::size_t uncovered = pool.queue.size() > coming ? pool.queue.size() - coming : 0;
  std::size_t refused = uncovered;
  if (function.startFailures < config_.startFailuresInRow) {
    refused = std::min(uncovered, static_cast<std::size_t>(function.concurrency));
  }
  for (; refused > 0; --refused) refuse(*pool.queue.front(), error);
}

void Planner::Core::armIdleTimer(Instance& instance) {
  const Cpu cpu = instance.state == InstanceState::Frozen ? Cpu::Stopped : Cpu::Running;
  const Instant due = nextIdleStep(instance.function->keepAlive, instance.idleSince, cpu).at;
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
  if (!instance.isIdle()) return;
  const KeepAliveRule& rule = instance.function->keepAlive;
  // A late timer may find it due for release without having been frozen.
  if (nextIdleStep(rule, instance.idleSince, Cpu::Stopped).at <= now_) {
    return release(instance, StopReason::IdleTimeout);
  }
  const Cpu cpu = instance.state == InstanceState::Frozen ? Cpu::Stopped : Cpu::Running;
  const IdleStep step = nextIdleStep(rule, instance.idleSince, cpu);
  if (step.at <= now_ && step.action == IdleAction::Freeze) {
    emit(Freeze{instance.id});
    move(instance, InstanceState::Frozen);
  }
  armIdleTimer(instance);
}

void Planner::Core::releaseIfShuttingDown(Instance& instance) {
  if (draining_ && instance.isIdle()) release(instance, StopReason::Drain);
}

}  // namespace okibi::planner
