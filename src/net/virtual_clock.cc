#include "net/virtual_clock.h"

#include <algorithm>

#include "net/loop_impl.h"

namespace okibi::net {

void VirtualClock::advance(Duration by) {
  now_ += by;
  goOff();
}

bool VirtualClock::jump() {
  if (alarms_.empty()) return false;
  now_ = std::max(now_, alarms_.begin()->first);
  goOff();
  return true;
}

// In order of time; those of one instant in the order of nothing in particular.
void VirtualClock::goOff() {
  while (!alarms_.empty() && alarms_.begin()->first <= now_) {
    Alarm* due = alarms_.begin()->second;
    alarms_.erase(alarms_.begin());
    due->wake();
  }
}

}  // namespace okibi::net
