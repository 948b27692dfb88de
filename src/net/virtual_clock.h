#pragma once
// VirtualClock: the time of a loop in tests. It stands still while anything happens on the loop and
// jumps to the next alarm when nothing is left to do, so that minutes of waiting cost no time and
// an order of events does not depend on the machine's speed.
//
// Given to a Loop's constructor, which it outlives; one loop per clock. Loop thread only.

#include <set>
#include <utility>

#include "base/units.h"

namespace okibi::net {

class Alarm;

class VirtualClock {
 public:
  Instant now() const { return now_; }
  // Moves time forward without waiting; what is due goes off in the loop's next turn.
  void advance(Duration by);

 private:
  friend class Loop;
  friend class Alarm;
  // To the earliest alarm, which goes off; false: none is set.
  bool jump();
  void goOff();

  // Any time but 0, which the code under test could take for "never".
  Instant now_{std::chrono::hours(1)};
  std::set<std::pair<Instant, Alarm*>> alarms_;
};

}  // namespace okibi::net
