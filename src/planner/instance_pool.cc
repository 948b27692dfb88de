#include "planner/instance_pool.h"

namespace okibi::planner {

int InstancePool::shortfall() const {
  const std::size_t covered = comingSlots() + patient;
  if (queue.size() <= covered) return 0;
  const auto perInstance = static_cast<std::size_t>(concurrency_);
  return static_cast<int>((queue.size() - covered + perInstance - 1) / perInstance);
}

bool InstancePool::hasSpare(int minimum) const {
  if (placing_ == 0 || queue.size() > slots(starting_ + placing_ - 1)) return false;
  // Starts are needed for the minimum; who is called back is for the queue alone, and comes sooner
  // than a start that the minimum needs anyway.
  if (here() > minimum) return true;
  return recalled_ > 0 && queue.size() <= slots(starting_ + recalled_ - 1);
}

bool InstancePool::hasRoom(const Instance& instance) const {
  return instance.serving() && instance.health == Health::Healthy &&
         instance.inFlight.size() < static_cast<std::size_t>(concurrency_);
}

void InstancePool::updateRoom(Instance& instance) {
  const int load = static_cast<int>(instance.inFlight.size());
  const bool wanted = hasRoom(instance);
  if (instance.room) {
    if (wanted && instance.room->load == load && instance.room->ahead == instance.ahead &&
        instance.room->idleOrder == instance.idleOrder && instance.room->kept == instance.kept) {
      return;
    }
    instance.roomNode = room_.extract(*instance.room);
    OKIBI_CHECK(!instance.roomNode.empty(), "instance {}", instance.id.value());
    instance.room.reset();
  }
  if (!wanted) return;
  instance.room =
      RoomKey{instance.kept, load, instance.ahead, instance.idleOrder, instance.id, &instance};
  if (instance.roomNode.empty()) {
    room_.insert(*instance.room);
  } else {
    instance.roomNode.value() = *instance.room;
    room_.insert(std::move(instance.roomNode));
  }
}

Instance* InstancePool::newest(InstanceState state) const {
  Instance* instance = instances.back();
  while (instance && instance->state != state) instance = instances.previous(*instance);
  return instance;
}

void InstancePool::count(InstanceState state, int change) {
  switch (state) {
    case InstanceState::Placing:
      placing_ += change;
      break;
    case InstanceState::Recalled:
      placing_ += change;
      recalled_ += change;
      break;
    case InstanceState::Starting:
    case InstanceState::Initializing:
    case InstanceState::Waking:
      starting_ += change;
      break;
    case InstanceState::Ready:
    case InstanceState::Frozen:
      serving_ += change;
      break;
    case InstanceState::Parking:
      parking_ += change;
      break;
    case InstanceState::Parked:
      parked_ += change;
      break;
    case InstanceState::Draining:
    case InstanceState::Stopping:
      leaving_ += change;
      break;
    case InstanceState::Gone:
      break;
  }
}

}  // namespace okibi::planner
