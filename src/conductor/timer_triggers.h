#pragma once
// TimerTriggers: calls functions at the times of their timer triggers, asynchronously. Times that
// passed while the daemon was down, or while the trigger was off, are not made up for. Loop thread
// only.

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/units.h"
#include "model/trigger.h"

namespace okibi::conductor {

class TimerTriggers {
 public:
  using Fire = std::function<void(const Trigger& trigger, std::string event)>;

  // Fires what came due since the last call; call about once a second. A trigger fires once however
  // many of its times have passed.
  void tick(const std::vector<const Trigger*>& triggers, WallTime now, const Fire& fire);

 private:
  struct Next {
    WallTime modified{};  // of the trigger that this was computed for
    WallTime due{};
  };
  std::map<std::string, Next> next_;  // by trigger id
};

// {"triggerTime":…,"triggerName":…,"payload":…}
std::string timerEvent(const Trigger& trigger, WallTime due);

}  // namespace okibi::conductor
