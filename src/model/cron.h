#pragma once
// Cron: six fields, "second minute hour day-of-month month day-of-week", as Function Compute writes
// them (Function Compute: auto scaling of minimum instances): numbers, lists, ranges and steps; '?'
// is '*'; months and days of the week also by their English names; days of the week are 1 (Monday)
// to 7 (Sunday). Where both day fields are restricted either is enough, as cron has it. Pure: civil
// time without a zone.

#include <bitset>
#include <chrono>
#include <optional>
#include <string_view>

#include "base/result.h"

namespace okibi {

// Seconds since 1970 as a clock on the wall shows them, whatever its zone.
using CivilSeconds = std::chrono::sys_seconds;

class Cron {
 public:
  static Result<Cron> parse(std::string_view text);  // Invalid names the field and its range

  bool matches(CivilSeconds time) const;
  // The first match after `time` / the last one at or before it; nullopt: none within 30 years.
  std::optional<CivilSeconds> next(CivilSeconds time) const;
  std::optional<CivilSeconds> previous(CivilSeconds time) const;

 private:
  using Minutes = std::bitset<60>;
  bool dayMatches(std::chrono::sys_days day) const;
  // The first (last) time of a day at or after (before) `from`.
  std::optional<std::chrono::seconds> firstOfDay(std::chrono::seconds from) const;
  std::optional<std::chrono::seconds> lastOfDay(std::chrono::seconds from) const;

  Minutes seconds_, minutes_;
  std::bitset<24> hours_;
  std::bitset<32> days_;
  std::bitset<13> months_;
  std::bitset<8> weekdays_;
  bool anyDay_ = false, anyWeekday_ = false;
};

}  // namespace okibi
