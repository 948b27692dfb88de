#pragma once
// Schedule: the times at which something happens (Function Compute: auto scaling of minimum
// instances, API):
//   "cron(0 0 9 * * *)"  "at(2026-01-01T09:00:00)"         scaling policies
//   "0 0 9 * * *"  "CRON_TZ=Asia/Tokyo 0 0 9 * * *"  "@every 4m"   timer triggers
// Times are of a zone (IANA name; empty: UTC). A time that a change of the clock skips does not
// happen; one that it repeats happens once. Pure, but for the machine's zone data.

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"
#include "base/units.h"
#include "model/cron.h"

namespace okibi {

// A zone of the machine's data, which lives as long as the process.
class TimeZone {
 public:
  TimeZone() = default;                                 // UTC
  static Result<TimeZone> find(std::string_view name);  // Invalid: there is none
  CivilSeconds civil(std::chrono::sys_seconds time) const;
  // nullopt: no clock of the zone ever showed it. Shown twice: the first.
  std::optional<std::chrono::sys_seconds> system(CivilSeconds time) const;

 private:
  const void* zone_ = nullptr;
};

class Schedule {
 public:
  // Invalid says what is wrong. `zone`: unless the text names its own.
  static Result<Schedule> parse(std::string_view text, std::string_view zone);

  // The first time after `time`; nullopt: never. "@every" counts from `anchor`.
  std::optional<WallTime> next(WallTime time, WallTime anchor = {}) const;
  // The last time at or before `time`.
  std::optional<WallTime> previous(WallTime time) const;

 private:
  struct At {
    CivilSeconds time;
  };
  struct Every {
    std::chrono::seconds period;
  };
  std::variant<Cron, At, Every> rule_;
  TimeZone zone_;
};

// "2026-01-01T09:00:00" (of `zone`) or with "Z" (UTC).
Result<WallTime> parseZonedTime(std::string_view text, std::string_view zone);

}  // namespace okibi
