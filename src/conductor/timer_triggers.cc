#include "conductor/timer_triggers.h"

#include <fmt/format.h>

#include "base/encoding.h"
#include "conductor/error_answer.h"
#include "model/schedule.h"

namespace okibi::conductor {
namespace {

// Far away: never.
WallTime dueAfter(const Trigger& trigger, WallTime now) {
  const auto schedule = Schedule::parse(trigger.timer.expression, "");
  if (!schedule) return WallTime::max();
  return schedule->next(now, trigger.modified).value_or(WallTime::max());
}

}  // namespace

std::string timerEvent(const Trigger& trigger, WallTime due) {
  return fmt::format(R"({{"triggerTime":"{}","triggerName":{},"payload":{}}})", formatIso8601(due),
                     jsonQuote(trigger.name), jsonQuote(trigger.timer.payload));
}

void TimerTriggers::tick(const std::vector<const Trigger*>& triggers, WallTime now,
                         const Fire& fire) {
  std::map<std::string, Next> kept;
  for (const Trigger* trigger : triggers) {
    if (trigger->type != "timer" || !trigger->timer.enabled) continue;
    Next next{trigger->modified, {}};
    const auto known = next_.find(trigger->id);
    if (known != next_.end() && known->second.modified == trigger->modified) {
      next = known->second;
    } else {
      next.due = dueAfter(*trigger, now);
    }
    if (next.due <= now) {
      fire(*trigger, timerEvent(*trigger, next.due));
      next.due = dueAfter(*trigger, now);
    }
    kept.emplace(trigger->id, next);
  }
  next_ = std::move(kept);
}

}  // namespace okibi::conductor
