// What each event means.

#include <set>

#include <fmt/format.h>

#include "planner/core.h"
#include "planner/explain.h"

namespace okibi::planner {

Function& Planner::Core::add(const FunctionPlan& plan) {
  OKIBI_CHECK(plan.key.valid() && plan.concurrency >= limits::kConcurrencyMin &&
                  plan.concurrency <= limits::kConcurrencyMax,
              "function {}: concurrency {}", plan.key.value(), plan.concurrency);
  OKIBI_CHECK(plan.weight >= 1, "function {}: weight {}", plan.key.value(), plan.weight);
  auto [entry, added] = functions_.try_emplace(plan.key);
  OKIBI_CHECK(added, "function {} is there already", plan.key.value());
  Account& account = accountNamed(plan.account);
  Function& function = entry->second;
  function.key = plan.key;
  function.name = plan.name;
  function.account = &account;
  function.demand = plan.demand;
  function.group = &groups_[{plan.account, plan.name}];
  function.group->members.insert(plan.key);
  function.keepAlive = {plan.idleTimeout, plan.freezeAfter, plan.parkAfter};
  function.concurrency = plan.concurrency;
  function.weight = plan.weight;
  function.afterAbandon = plan.afterAbandon;
  if (plan.gpu) {
    OKIBI_CHECK(plan.gpu->memory.count() > 0, "function {}: empty slice", plan.key.value());
    function.shelf = &ledger_.shelf(plan.gpu->type);
    function.slice = plan.gpu->memory;
    function.shelf->rule = config_.cardRule;
    ++function.shelf->sizes[function.slice];
  }
  return function;
}

// REQUIRES: its queue is empty.
void Planner::Core::retire(Function& function) {
  function.retired = true;
  cancelStartAhead(function);
  cancelGhosts(function);
  function.minimum = 0;
  maybeAsleep_.push_back(function.key);
  if (!function.pool) return;
  settle(function);
  InstancePool& pool = *function.pool;
  for (Instance* instance = pool.instances.front(); instance;) {
    Instance* next = pool.instances.next(*instance);
    release(*instance, StopReason::RevisionRetired);
    instance = next;
  }
}

void Planner::Core::on(const FunctionAdded& event) {
  Function& function = add(event.plan);
  Function* old = event.replaces ? findFunction(*event.replaces) : nullptr;
  if (!old || old->retired) return;
  requeueWaiting(*old);
  moveQueue(*old, function);
  retire(*old);
  settle(function);
}

void Planner::Core::on(const FunctionRetired& event) {
  Function* function = findFunction(event.key);
  if (!function || function->retired) return;
  requeueWaiting(*function);
  while (function->pool && !function->pool->queue.empty()) {
    refuse(*function->pool->queue.front(),
           event.refusal.value_or(Error{ErrorKind::NotFound,
                                        fmt::format("function '{}' was deleted", function->name),
                                        "FunctionNotFound"}));
  }
  retire(*function);
}

void Planner::Core::on(const WeightChanged& event) {
  Function* function = findFunction(event.function);
  if (!function || function->retired) return;
  OKIBI_CHECK(event.weight >= 1, "function {}: weight {}", event.function.value(), event.weight);
  function->weight = event.weight;
  settle(*function);
}

void Planner::Core::on(const InvocationArrived& event) {
  // Who queues comes first to a slot that a deadline has freed just now.
  settleExpired();
  Function* function = findFunction(event.function);
  const auto refuseNew = [&](Error error) {
    emit(Refuse{event.invocation, std::move(error)});
    if (function) maybeAsleep_.push_back(function->key);
  };
  if (!function || function->retired) {
    return refuseNew({ErrorKind::NotFound, "the function does not exist", "FunctionNotFound"});
  }
  if (draining_) return refuseNew({ErrorKind::Unavailable, "okibi is shutting down", {}});
  if (function->demand == FunctionPlan::Demand::KeptOnly && function->minimum == 0) {
    return refuseNew(keptOnlyError(*function));
  }
  auto [entry, added] = requests_.try_emplace(event.invocation);
  OKIBI_CHECK(added, "invocation {} is there already", event.invocation.value());
  Request& request = entry->second;
  request.id = event.invocation;
  request.function = function;
  request.arrival = ++lastArrival_;
  request.deadline = event.deadline;
  if (!function->pool) function->pool = std::make_unique<InstancePool>(function->concurrency);
  InstancePool& pool = *function->pool;
  noteArrival(*function);
  if (Instance* instance = pickWithRoom(*function)) {
    return dispatch(request, *instance, Warmth::Warm);
  }
  if (pool.queue.size() >= config_.queuePerFunction) {
    burst_ = {};
    return refuse(request, queueFullError(*function, config_.queuePerFunction));
  }
  if (event.deadline <= now_) {
    burst_ = {};
    return refuse(request, deadlineError(*function, config_));
  }
  enqueue(request);
  // In a line already: one more at the end of the queue changes neither its place nor what it
  // lacks.
  // Unless it waits for its minimum: a request may be had for less, from a parked instance.
  if (pool.line && function->minimum > 0) exitLine(*function);
  if (!pool.line) settle(*function);
  newcomer_ = event.invocation;  // what its line can do for it is judged after the pump
}

void Planner::Core::on(const InvocationEnded& event) {
  Request* request = findRequest(event.invocation);
  if (!request) return;
  OKIBI_CHECK(request->instance, "invocation {} ended in the queue", event.invocation.value());
  Instance& instance = *request->instance;
  switch (event.outcome) {
    case Outcome::Completed:
      if (request->turn != Turn::Waiting) {
        learnService(*request->function, now_ - request->dispatchedAt);
      }
      endDispatched(*request, SlotState::Free);
      break;
    case Outcome::TimedOut:
      endDispatched(*request, SlotState::Suspect);
      break;
    case Outcome::InstanceBroken:
      endDispatched(*request, SlotState::Broken);
      break;
  }
  releaseIfShuttingDown(instance);
}

// A queued one has left already (Core::step).
void Planner::Core::on(const InvocationCancelled& event) {
  Request* request = findRequest(event.invocation);
  if (!request) return;
  Instance& instance = *request->instance;
  endDispatched(*request, SlotState::Suspect);
  releaseIfShuttingDown(instance);
}

void Planner::Core::on(const InstanceStarted& event) {
  Instance* instance = findInstance(event.instance);
  if (!instance || instance->state != InstanceState::Starting) return;
  move(*instance, InstanceState::Initializing);
}

void Planner::Core::on(const InstanceReady& event) {
  Instance* instance = findInstance(event.instance);
  if (!instance || !instance->starting()) return;  // it was being stopped
  Function& function = *instance->function;
  function.startFailures = 0;
  const Duration took = event.took.value_or(now_ - instance->startedAt);
  noteReady(*instance, took);
  learnStart(*instance, took);
  if (instance->ahead && !function.pool->queue.empty()) passAhead(*instance);
  move(*instance, InstanceState::Ready);
  settle(function, instance);
  releaseIfShuttingDown(*instance);
}

void Planner::Core::on(const InstanceStartFailed& event) {
  Instance* instance = findInstance(event.instance);
  if (!instance || !instance->starting()) return;
  Function& function = *instance->function;
  stop(*instance, StopReason::StartFailed, event.error.message);
  startFailed(function, event.error);
  settle(function);
}

void Planner::Core::on(const InstanceGone& event) {
  Instance* instance = findInstance(event.instance);
  if (!instance) return;
  OKIBI_CHECK(instance->state != InstanceState::Placing, "instance {} was never started",
              event.instance.value());
  Function& function = *instance->function;
  const bool wasStarting = instance->starting();  // not: waking; then a start takes its place
  const CardId card = instance->card ? instance->card->id : CardId();
  abortAll(*instance, event.error);
  forget(*instance);
  if (CardBook* book = ledger_.find(card)) grantTurns(*book);
  if (wasStarting) startFailed(function, event.error);
  settle(function);
}

void Planner::Core::on(const InstanceHealthChanged& event) {
  Instance* instance = findInstance(event.instance);
  if (!instance || !instance->serving()) return;
  if (instance->health != event.health) {
    instance->function->pool->unhealthy += event.health == Health::Unhealthy ? 1 : -1;
  }
  instance->health = event.health;
  if (event.health == Health::Unhealthy) requeueWaiting(*instance);
  instance->function->pool->updateRoom(*instance);
  settle(*instance->function);
}

void Planner::Core::on(const SessionOpened& event) {
  Instance* instance = findInstance(event.instance);
  if (!instance || !instance->serving()) return;
  thaw(*instance);
  ++instance->sessions;
  updateLoad(*instance);
}

void Planner::Core::on(const SessionClosed& event) {
  Instance* instance = findInstance(event.instance);
  if (!instance || instance->sessions == 0) return;
  --instance->sessions;
  if (instance->state == InstanceState::Draining) {
    if (instance->unused()) stop(*instance, *instance->stopReason, instance->stopDetail);
  } else {
    updateLoad(*instance);
  }
  settle(*instance->function);
  releaseIfShuttingDown(*instance);
}

void Planner::Core::on(const CardAdded& event) {
  markDirty(*ledger_.add(event.card).shelf);
}

void Planner::Core::on(const CardLost& event) {
  CardBook* card = ledger_.find(event.card);
  if (!card || card->lost) return;
  const std::set<InstanceId> residents = card->residents;
  ledger_.lose(*card);  // forgotten, when nobody lives there
  std::set<FunctionKey> touched;
  for (InstanceId id : residents) {
    Instance& instance = instances_.at(id);
    touched.insert(instance.function->key);
    if (instance.state == InstanceState::Recalled) {
      withdraw(instance);
    } else {
      release(instance, StopReason::CardLost);
    }
  }
  for (FunctionKey key : touched) settle(functions_.at(key));
}

void Planner::Core::on(const TimerFired&) {}  // every step runs the timers

void Planner::Core::on(const DrainStarted&) {
  draining_ = true;
  // Nobody's minimum is kept from here on.
  for (const auto& [name, group] : groups_) {
    unsettled_.insert(unsettled_.end(), group.members.begin(), group.members.end());
  }
  for (auto& [id, instance] : instances_) {
    const bool coming = instance.starting() || instance.state == InstanceState::Waking;
    const bool unneeded = coming && instance.function->pool->queue.empty();
    const bool parked = instance.state == InstanceState::Parked;
    const bool resting = instance.serving() && instance.inFlight.empty();
    if (unneeded || parked || resting) release(instance, StopReason::Drain);
  }
}

void Planner::Core::on(const RuntimeLost& event) {
  runtimeDown_ = true;
  for (auto& [id, instance] : instances_) requeueWaiting(instance);
  std::set<FunctionKey> touched;
  while (!instances_.empty()) {
    Instance& instance = instances_.begin()->second;
    touched.insert(instance.function->key);
    abortAll(instance, event.error);
    forget(instance);
  }
  for (FunctionKey key : touched) settle(functions_.at(key));
}

void Planner::Core::on(const RuntimeRestored&) {
  runtimeDown_ = false;
  while (Function* function = runtimeLine_.first(std::nullopt)) {
    exitLine(*function);
    settle(*function);
  }
}

}  // namespace okibi::planner
