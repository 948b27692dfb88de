#pragma once
// The live side of one function: its queue, its instances counted by state, and those with room in
// the order in which they are filled. Exists only while the function has requests or instances.

#include <optional>

#include "planner/instance.h"
#include "planner/request_queue.h"
#include "planner/waiting_line.h"

namespace okibi::planner {

// What a function that needs an instance lacks.
enum class Shortage { None, Cards, CardQuota, InstanceQuota, StartQuota, Runtime };

class InstancePool {
 public:
  explicit InstancePool(int concurrency) : concurrency_(concurrency) {}

  RequestQueue queue;
  LinkedList<Instance, &Instance::poolLink> instances;  // oldest first
  LinkedList<Instance, &Instance::parkedLink> parked;   // the last one parked is at the back
  // Its place in a waiting line; nullopt: in none.
  std::optional<WaitingLine::Place> place;
  WaitingLine* line = nullptr;
  const WaitingLine* sinceLine = nullptr;  // which `since` is of
  std::uint64_t since = 0;                 // the turn it joined or was last served
  Shortage lineShortage = Shortage::None;  // what that line waits for
  Shortage shortage = Shortage::None;      // the last one met; kept for the reasons of what follows
  std::optional<Instant> yieldTimer;
  int busy = 0;  // instances with requests
  // Of the queued requests, those that wait in line rather than for an instance of their own
  // (Core::decideWhoWaits); kept until the function is settled again.
  std::size_t patient = 0;
  std::optional<Instant> ripeTimer;
  int unhealthy = 0;          // serving instances that get no requests
  Instance* ahead = nullptr;  // the one that is there, or comes, for a request that is expected

  int placing() const { return placing_; }
  int recalled() const { return recalled_; }
  int starting() const { return starting_; }
  int serving() const { return serving_; }
  int parkedOrParking() const { return parked_ + parking_; }
  int leaving() const { return leaving_; }
  // All that are not on their way out: what a minimum counts.
  int here() const { return placing_ + starting_ + serving_ + parked_ + parking_; }
  int total() const { return placing_ + starting_ + serving_ + parked_ + parking_ + leaving_; }
  bool empty() const { return queue.empty() && total() == 0 && !line; }

  // Slots of instances that are starting or waking / or will be, as soon as they have what they
  // were promised or are parked: requests within them have one coming.
  std::size_t startingSlots() const { return slots(starting_); }
  // Without starts that still wait.
  std::size_t calledSlots() const { return slots(starting_ + recalled_); }
  std::size_t comingSlots() const { return slots(starting_ + placing_ + parking_); }
  // How many more instances the queue needs: never more than it can fill.
  int shortfall() const;
  // Whether a placing instance could be withdrawn and queue and minimum still be covered.
  bool hasSpare(int minimum) const;

  // The instance the next request goes to; nullptr: none has room.
  Instance* fullestWithRoom() const { return room_.empty() ? nullptr : room_.begin()->instance; }
  // All that have room, in the order in which they are filled.
  const RoomSet& withRoom() const { return room_; }
  // Brings the room set in line with the instance's state and load.
  void updateRoom(Instance& instance);
  bool hasRoom(const Instance& instance) const;

  // The last one made that is in that state; nullptr: none.
  Instance* newest(InstanceState state) const;

  void count(InstanceState state, int change);

 private:
  std::size_t slots(int count) const {
    return static_cast<std::size_t>(count) * static_cast<std::size_t>(concurrency_);
  }

  const int concurrency_;
  int placing_ = 0, starting_ = 0, serving_ = 0;  // also recalled, also waking
  int recalled_ = 0;                              // of placing_
  int parking_ = 0, parked_ = 0;
  int leaving_ = 0;  // draining or stopping
  RoomSet room_;
};

}  // namespace okibi::planner
