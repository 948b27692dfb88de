#include "model/cron.h"

#include <array>
#include <charconv>
#include <vector>

#include <fmt/format.h>

#include "base/encoding.h"

namespace okibi {
namespace {

using std::chrono::days;
using std::chrono::seconds;
using std::chrono::sys_days;

constexpr days kHorizon{30 * 366};

struct FieldRule {
  std::string_view name;
  int low, high;
  std::string_view names;  // three letters each, from `low`
};
constexpr std::array<FieldRule, 6> kRules{{{"second", 0, 59, ""},
                                           {"minute", 0, 59, ""},
                                           {"hour", 0, 23, ""},
                                           {"day of month", 1, 31, ""},
                                           {"month", 1, 12, "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC"},
                                           {"day of week", 1, 7, "MONTUEWEDTHUFRISATSUN"}}};

std::unexpected<Error> wrong(const FieldRule& rule, std::string_view text) {
  return fail(
      ErrorKind::Invalid,
      fmt::format(
          "{}: '{}' is not in {}–{}{}; '*', lists, ranges and steps are understood", rule.name,
          text.substr(0, 64), rule.low, rule.high,
          rule.names.empty() ? "" : " or a name like " + std::string(rule.names.substr(0, 3))),
      "InvalidArgument");
}

std::optional<int> numberIn(const FieldRule& rule, std::string_view text) {
  for (std::size_t i = 0; i * 3 < rule.names.size(); ++i) {
    if (equalsIgnoreCase(text, rule.names.substr(i * 3, 3))) return rule.low + static_cast<int>(i);
  }
  int value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || text.empty()) return std::nullopt;
  if (value < rule.low || value > rule.high) return std::nullopt;
  return value;
}

// "*", "5", "5-9", each with "/2".
template <std::size_t Size>
bool addItem(const FieldRule& rule, std::string_view item, std::bitset<Size>& set) {
  int step = 1;
  bool stepped = false;
  if (const auto slash = item.find('/'); slash != std::string_view::npos) {
    const std::string_view text = item.substr(slash + 1);
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, step);
    if (error != std::errc() || stop != end || step < 1 || step > rule.high) return false;
    item = item.substr(0, slash);
    stepped = true;
  }
  int low = rule.low, high = rule.high;
  if (item != "*" && item != "?") {
    const auto dash = item.find('-');
    const auto first = numberIn(rule, item.substr(0, dash));
    if (!first) return false;
    low = *first;
    // "5/10" is from 5 on.
    high = stepped ? rule.high : low;
    if (dash != std::string_view::npos) {
      const auto last = numberIn(rule, item.substr(dash + 1));
      if (!last || *last < low) return false;
      high = *last;
    }
  }
  for (int value = low; value <= high; value += step) set.set(static_cast<std::size_t>(value));
  return true;
}

template <std::size_t Size>
Result<void> readField(const FieldRule& rule, std::string_view text, std::bitset<Size>& set) {
  for (std::string_view item : split(text, ',')) {
    if (!addItem(rule, item, set)) return wrong(rule, text);
  }
  return {};
}

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> out;
  for (std::string_view word : split(text, ' ')) {
    if (!word.empty()) out.push_back(word);
  }
  return out;
}

bool isAny(std::string_view text) {
  return text == "*" || text == "?";
}

}  // namespace

Result<Cron> Cron::parse(std::string_view text) {
  const auto fields = words(text);
  if (fields.size() != kRules.size()) {
    return fail(ErrorKind::Invalid,
                fmt::format("'{}' has {} fields, not the six of 'second minute hour day-of-month "
                            "month day-of-week'",
                            text.substr(0, 128), fields.size()),
                "InvalidArgument");
  }
  Cron cron;
  Result<void> read = readField(kRules[0], fields[0], cron.seconds_);
  if (read) read = readField(kRules[1], fields[1], cron.minutes_);
  if (read) read = readField(kRules[2], fields[2], cron.hours_);
  if (read) read = readField(kRules[3], fields[3], cron.days_);
  if (read) read = readField(kRules[4], fields[4], cron.months_);
  if (read) read = readField(kRules[5], fields[5], cron.weekdays_);
  if (!read) return fail(read.error());
  cron.anyDay_ = isAny(fields[3]);
  cron.anyWeekday_ = isAny(fields[5]);
  return cron;
}

bool Cron::dayMatches(sys_days day) const {
  const std::chrono::year_month_day date(day);
  if (!months_[static_cast<unsigned>(date.month())]) return false;
  const bool byDate = days_[static_cast<unsigned>(date.day())];
  const bool byWeekday = weekdays_[std::chrono::weekday(day).iso_encoding()];
  if (anyDay_ || anyWeekday_) return byDate && byWeekday;
  return byDate || byWeekday;
}

bool Cron::matches(CivilSeconds time) const {
  const auto day = std::chrono::floor<days>(time);
  const std::chrono::hh_mm_ss clock(time - day);
  return dayMatches(day) && hours_[static_cast<std::size_t>(clock.hours().count())] &&
         minutes_[static_cast<std::size_t>(clock.minutes().count())] &&
         seconds_[static_cast<std::size_t>(clock.seconds().count())];
}

std::optional<seconds> Cron::firstOfDay(seconds from) const {
  for (std::int64_t at = from.count(); at < 86400;) {
    const auto hour = static_cast<std::size_t>(at / 3600);
    const auto minute = static_cast<std::size_t>(at / 60 % 60);
    if (!hours_[hour]) {
      at = (at / 3600 + 1) * 3600;
    } else if (!minutes_[minute]) {
      at = (at / 60 + 1) * 60;
    } else if (!seconds_[static_cast<std::size_t>(at % 60)]) {
      ++at;
    } else {
      return seconds(at);
    }
  }
  return std::nullopt;
}

std::optional<seconds> Cron::lastOfDay(seconds from) const {
  for (std::int64_t at = from.count(); at >= 0;) {
    const auto hour = static_cast<std::size_t>(at / 3600);
    const auto minute = static_cast<std::size_t>(at / 60 % 60);
    if (!hours_[hour]) {
      at = at / 3600 * 3600 - 1;
    } else if (!minutes_[minute]) {
      at = at / 60 * 60 - 1;
    } else if (!seconds_[static_cast<std::size_t>(at % 60)]) {
      --at;
    } else {
      return seconds(at);
    }
  }
  return std::nullopt;
}

std::optional<CivilSeconds> Cron::next(CivilSeconds time) const {
  time += seconds(1);
  auto day = std::chrono::floor<days>(time);
  const auto end = day + kHorizon;
  for (seconds from = time - day; day < end; day += days(1), from = seconds(0)) {
    if (!dayMatches(day)) continue;
    if (const auto found = firstOfDay(from)) return day + *found;
  }
  return std::nullopt;
}

std::optional<CivilSeconds> Cron::previous(CivilSeconds time) const {
  auto day = std::chrono::floor<days>(time);
  const auto end = day - kHorizon;
  for (seconds from = time - day; day > end; day -= days(1), from = seconds(86399)) {
    if (!dayMatches(day)) continue;
    if (const auto found = lastOfDay(from)) return day + *found;
  }
  return std::nullopt;
}

}  // namespace okibi
