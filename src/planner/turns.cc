// Between a slot and the instance: requests wait for the turn of their card.

#include "planner/core.h"
#include "planner/explain.h"

namespace okibi::planner {

bool Planner::Core::wouldGrant(const Instance& instance) const {
  return takesTurns(instance) && instance.card->turns.wouldGrant(instance, config_.cardTurns);
}

Instance* Planner::Core::pickWithRoom(const Function& function) const {
  Instance* fullest = function.pool->fullestWithRoom();
  if (!fullest || !takesTurns(*fullest)) return fullest;
  for (const RoomKey& key : function.pool->withRoom()) {
    if (wouldGrant(*key.instance)) return key.instance;
  }
  return fullest;
}

void Planner::Core::handOver(Request& request) {
  Instance& instance = *request.instance;
  if (!takesTurns(instance)) return sendDispatch(request);
  CardTurns& turns = instance.card->turns;
  if (request.overdue) {
    // It waited for this very start, longer than it would have waited for a turn.
    turns.grantNow(request, now_);
    return sendDispatch(request);
  }
  turns.join(request, now_);
  deadlines_.add({request.deadline, TimerKind::Deadline, request.id.value()});
  grantTurns(*instance.card);
}

void Planner::Core::sendDispatch(Request& request) {
  request.dispatchedAt = now_;
  emit(Dispatch{request.id, request.instance->id, request.warmth, std::move(request.reason)});
}

void Planner::Core::grantTurns(CardBook& card) {
  if (config_.cardTurns == 0) return;
  while (Request* request = card.turns.grant(now_, config_.cardTurns)) {
    deadlines_.remove({request->deadline, TimerKind::Deadline, request->id.value()});
    if (request->turnSince < now_) request->reason = turnReason(*request);
    sendDispatch(*request);
  }
  if (card.turns.hasWaiting()) return;
  for (InstanceId id : card.residents) pullWaiting(instances_.at(id));
}

// The oldest request that waits for a turn of another instance of the function comes here.
void Planner::Core::pullWaiting(Instance& instance) {
  InstancePool& pool = *instance.function->pool;
  while (pool.hasRoom(instance) && wouldGrant(instance)) {
    Request* oldest = nullptr;
    for (Instance* i = pool.instances.front(); i; i = pool.instances.next(*i)) {
      Request* first = i->turn.waiting.front();
      if (first && (!oldest || first->arrival < oldest->arrival)) oldest = first;
    }
    if (!oldest) return;
    const Instant since = oldest->turnSince;
    detach(*oldest);
    if (since < now_) oldest->reason = turnReason(*oldest);
    dispatch(*oldest, instance, oldest->warmth);
  }
}

void Planner::Core::pullWaiting(Function& function) {
  if (config_.cardTurns == 0 || !function.shelf) return;
  for (Instance* i = function.pool->instances.front(); i; i = function.pool->instances.next(*i)) {
    pullWaiting(*i);
  }
}

void Planner::Core::leaveTurn(Request& request) {
  if (request.turn == Turn::None) return;
  if (request.turn == Turn::Waiting) {
    deadlines_.remove({request.deadline, TimerKind::Deadline, request.id.value()});
  }
  request.instance->card->turns.leave(request, now_);
}

void Planner::Core::detach(Request& request) {
  Instance& instance = *request.instance;
  leaveTurn(request);
  instance.inFlight.erase(request);
  request.instance = nullptr;
  updateLoad(instance);
}

void Planner::Core::requeueWaiting(Instance& instance) {
  if (instance.turn.waiting.empty()) return;
  Function& function = *instance.function;
  while (Request* request = instance.turn.waiting.front()) {
    detach(*request);
    request->servingThen = function.pool->serving();
    request->ripeAt = now_;
    function.pool->queue.merge(*request);
    deadlines_.add({request->deadline, TimerKind::Deadline, request->id.value()});
  }
  unsettled_.push_back(function.key);
}

void Planner::Core::requeueWaiting(Function& function) {
  if (!function.pool) return;
  for (Instance* i = function.pool->instances.front(); i; i = function.pool->instances.next(*i)) {
    requeueWaiting(*i);
  }
}

void Planner::Core::expireInTurn(Request& request) {
  CardBook& card = *request.instance->card;
  Function& function = *request.function;
  Error error = turnError(card, config_);
  // Its timer is out already: put it back for leaveTurn, as expire() does for the queue.
  deadlines_.add({request.deadline, TimerKind::Deadline, request.id.value()});
  detach(request);
  refuse(request, std::move(error));
  expiredCards_.push_back(card.id);
  expired_.push_back(function.key);
}

}  // namespace okibi::planner
