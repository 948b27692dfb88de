// Parking: an idle instance gives its card memory back and lives on in host memory; waking undoes
// it.

#include <fmt/format.h>

#include "planner/core.h"
#include "planner/explain.h"

namespace okibi::planner {

// Whether there is host memory for it. If not, parked instances that are worth less, or the same
// for longer, are stopped for it.
bool Planner::Core::makeHostMemory(const Instance& instance) {
  const Bytes size = instance.function->slice;
  if (hostHeld_ + size <= config_.hostMemory) return true;
  if (size > config_.hostMemory) return false;
  Bytes coming = hostLeaving_;
  std::vector<Instance*> victims;
  for (const auto& [worth, order, victim] : parkedByWorth_) {
    if (hostHeld_ - coming + size <= config_.hostMemory || worth > instance.worth) break;
    if (victim == spared_ || victim->kept) continue;
    victims.push_back(victim);
    coming += victim->hostMemory;
  }
  if (hostHeld_ - coming + size > config_.hostMemory) return false;
  for (Instance* victim : victims) {
    release(*victim, StopReason::MadeRoom, roomFor(*instance.function, *victim->function));
  }
  return false;
}

bool Planner::Core::park(Instance& instance) {
  const Function& function = *instance.function;
  const bool parkable = function.shelf && !runtimeDown_ && instance.health == Health::Healthy;
  if (!parkable || !makeHostMemory(instance)) return false;
  if (instance.state == InstanceState::Frozen) {
    emit(Thaw{instance.id});
    move(instance, InstanceState::Ready);
  }
  instance.hostMemory = function.slice;
  hostHeld_ += function.slice;
  emit(Park{instance.id});
  move(instance, InstanceState::Parking);
  return true;
}

// Its card is wanted by others.
void Planner::Core::vacate(Instance& instance, const std::string& detail) {
  const bool unused = instance.ahead || instance.isIdle();
  // One that was started for an expected request was not parked before, and is not now.
  const bool fresh = instance.ahead && instance.watch.over();
  if (instance.isIdle() && !fresh && park(instance)) return;
  release(instance, unused ? StopReason::MadeRoom : StopReason::Yielded, detail);
}

void Planner::Core::releaseHostMemory(Instance& instance) {
  hostHeld_ -= instance.hostMemory;
  instance.hostMemory = Bytes();
}

void Planner::Core::recall(Instance& instance, CardBook& card) {
  OKIBI_CHECK(instance.state == InstanceState::Parked && !instance.card, "instance {}",
              instance.id.value());
  if (!instance.ahead) {
    noteWanted(instance);
    instance.reason = startReason(*instance.function);
  }
  instance.card = &card;
  move(instance, InstanceState::Recalled);
  tryStart(instance);
}

// A start that still waits hands what it was promised to a parked instance of its function, which
// is cheaper to wake.
bool Planner::Core::wakeInstead(Instance& start) {
  Instance* parked = start.function->pool->parked.back();
  if (start.state != InstanceState::Placing || !parked) return false;
  // A start for the minimum stays one.
  const InstancePool& pool = *start.function->pool;
  if (pool.queue.size() <= pool.calledSlots()) return false;
  CardBook& card = *start.card;
  forget(start);
  recall(*parked, card);
  return true;
}

void Planner::Core::on(const InstanceParked& event) {
  Instance* instance = findInstance(event.instance);
  if (!instance || instance->state != InstanceState::Parking) return;  // it was being stopped
  Function& function = *instance->function;
  move(*instance, InstanceState::Parked);
  if (draining_) release(*instance, StopReason::Drain);
  settle(function);
}

void Planner::Core::on(const InstanceParkFailed& event) {
  Instance* instance = findInstance(event.instance);
  if (!instance || instance->state != InstanceState::Parking) return;
  Function& function = *instance->function;
  stop(*instance, StopReason::ParkFailed, event.error.message);
  settle(function);
}

void Planner::Core::on(const InstanceWoken& event) {
  Instance* instance = findInstance(event.instance);
  if (!instance || instance->state != InstanceState::Waking) return;
  Function& function = *instance->function;
  learnStart(*instance, event.took.value_or(now_ - instance->since));
  releaseHostMemory(*instance);
  if (instance->ahead && !function.pool->queue.empty()) passAhead(*instance);
  move(*instance, InstanceState::Ready);
  settle(function, instance, Warmth::Woken);
  releaseIfShuttingDown(*instance);
}

}  // namespace okibi::planner
