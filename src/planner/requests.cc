// From the queue to an instance, and out again.

#include <utility>

#include <fmt/format.h>

#include "planner/core.h"
#include "planner/explain.h"

namespace okibi::planner {

void Planner::Core::enqueue(Request& request) {
  InstancePool& pool = *request.function->pool;
  request.servingThen = pool.serving();
  request.startingThen = pool.starting() + pool.placing();
  meetAhead(*request.function);
  setRipeness(request);
  pool.queue.push(request);
  deadlines_.add({request.deadline, TimerKind::Deadline, request.id.value()});
  armRipe(*request.function);
}

void Planner::Core::unqueue(Request& request) {
  if (!request.overdue) {
    deadlines_.remove({request.deadline, TimerKind::Deadline, request.id.value()});
  }
  request.function->pool->queue.erase(request);
}

void Planner::Core::dispatch(Request& request, Instance& instance, Warmth warmth) {
  OKIBI_CHECK(!request.instance && instance.serving(), "request {} to instance {} ({})",
              request.id.value(), instance.id.value(), toString(instance.state));
  if (thaw(instance)) warmth = Warmth::Thawed;
  request.warmth = warmth;
  if (request.link.linked) {
    const bool waitedForIt = warmth == Warmth::Cold || warmth == Warmth::Woken;
    request.reason = waitedForIt ? instance.reason : queuedReason(request);
    unqueue(request);
  } else if (instance.ahead) {
    request.reason = instance.reason;
  }
  request.instance = &instance;
  instance.inFlight.pushBack(request);
  updateLoad(instance);
  handOver(request);
}

FunctionKey Planner::Core::leaveQueue(InvocationId invocation) {
  Request* request = findRequest(invocation);
  if (!request || (request->instance && request->turn != Turn::Waiting)) return {};
  const FunctionKey key = request->function->key;
  if (request->instance) {  // it waits for a turn: its instance has not heard of it
    expiredCards_.push_back(request->instance->card->id);
    Instance& instance = *request->instance;
    detach(*request);
    releaseIfShuttingDown(instance);
  } else {
    unqueue(*request);
  }
  requests_.erase(invocation);
  maybeAsleep_.push_back(key);
  return key;
}

void Planner::Core::refuse(Request& request, Error error, std::optional<Duration> retryAfter) {
  OKIBI_CHECK(!request.instance, "request {} is dispatched", request.id.value());
  if (request.link.linked) unqueue(request);
  maybeAsleep_.push_back(request.function->key);
  emit(Refuse{request.id, std::move(error), retryAfter});
  requests_.erase(InvocationId(request.id));
}

// The deadline bounds the wait for capacity. A request whose instance is starting has its capacity:
// it stays, marked, and is refused only if that start comes to nothing.
void Planner::Core::expire(Request& request) {
  Function& function = *request.function;
  InstancePool& pool = *function.pool;
  if (request.turn == Turn::Waiting) return expireInTurn(request);
  if (pool.queue.isWithin(request, pool.startingSlots())) {
    pool.queue.markOverdue(request);
    return;
  }
  // Its timer is out already: put it back for unqueue, which every way out of the queue goes
  // through.
  deadlines_.add({request.deadline, TimerKind::Deadline, request.id.value()});
  refuse(request, deadlineError(function, config_));
  expired_.push_back(function.key);
}

void Planner::Core::expireDue() {
  while (auto due = deadlines_.takeDue(now_)) expire(requests_.at(InvocationId(due->id)));
}

// Only when all that is due is refused and the event is heard, unless that is an arrival: what one
// leaves must not go to another that is too late, or to an instance that is gone.
void Planner::Core::settleExpired() {
  for (CardId id : std::exchange(expiredCards_, {})) {
    if (CardBook* card = ledger_.find(id)) grantTurns(*card);
  }
  for (FunctionKey key : std::exchange(expired_, {})) {
    if (Function* function = findFunction(key)) settle(*function);
  }
}

void Planner::Core::refuseOverdue(Function& function) {
  RequestQueue& queue = function.pool->queue;
  if (queue.overdue() == 0) return;
  const Request* beyond = queue.at(function.pool->startingSlots());
  while (beyond) {
    Request* late = queue.overdueFrom(*beyond);
    if (!late) return;
    beyond = RequestQueue::next(*late);
    refuse(*late, deadlineError(function, config_));
  }
}

void Planner::Core::endDispatched(Request& request, SlotState slot) {
  Instance& instance = *request.instance;
  Function& function = *request.function;
  CardBook* card = instance.card;
  if (request.turn == Turn::Waiting) slot = SlotState::Free;  // the app has not seen it
  detach(request);
  requests_.erase(InvocationId(request.id));
  const bool abandoned =
      slot == SlotState::Suspect && function.afterAbandon == AfterAbandon::ReplaceInstance;
  if (instance.state == InstanceState::Draining) {
    if (instance.unused()) stop(instance, *instance.stopReason, instance.stopDetail);
  } else if (slot == SlotState::Broken) {
    release(instance, StopReason::Broken);
  } else if (abandoned) {
    release(instance, StopReason::RequestAbandoned);
  }
  if (card) grantTurns(*card);
  settle(function);
}

void Planner::Core::abortAll(Instance& instance, const Error& error) {
  requeueWaiting(instance);
  while (Request* request = instance.inFlight.front()) {
    leaveTurn(*request);
    instance.inFlight.erase(*request);
    emit(Abort{request->id, instance.id, error});
    requests_.erase(InvocationId(request->id));
  }
}

void Planner::Core::moveQueue(Function& from, Function& to) {
  if (!from.pool || from.pool->queue.empty()) return;
  if (!to.pool) to.pool = std::make_unique<InstancePool>(to.concurrency);
  while (Request* request = from.pool->queue.front()) {
    from.pool->queue.erase(*request);
    request->function = &to;
    hastenRipeness(*request);
    to.pool->queue.merge(*request);
  }
  armRipe(to);
}

}  // namespace okibi::planner
