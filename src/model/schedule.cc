#include "model/schedule.h"

#include <charconv>
#include <exception>

#include <date/tz.h>
#include <fmt/format.h>

#include "base/encoding.h"

namespace okibi {
namespace {

using std::chrono::seconds;
using std::chrono::sys_seconds;

std::unexpected<Error> invalid(std::string message) {
  return fail(ErrorKind::Invalid, std::move(message), "InvalidArgument");
}

WallTime toWall(sys_seconds time) {
  return std::chrono::time_point_cast<std::chrono::milliseconds>(time);
}
sys_seconds toSeconds(WallTime time) {
  return std::chrono::floor<seconds>(time);
}

// "1h30m", "4m", "90s".
Result<seconds> readPeriod(std::string_view text) {
  const auto bad = [text] {
    return invalid(fmt::format("'@every {}' is not a time like 4m, 90s or 1h30m, from 1 s to 24 h",
                               text.substr(0, 32)));
  };
  std::int64_t total = 0;
  for (std::string_view rest = text; !rest.empty();) {
    std::int64_t count = 0;
    const char* end = rest.data() + rest.size();
    const auto [stop, error] = std::from_chars(rest.data(), end, count);
    if (error != std::errc() || stop == end || count < 0 || count > 86400) return bad();
    const std::int64_t unit = *stop == 'h' ? 3600 : *stop == 'm' ? 60 : *stop == 's' ? 1 : 0;
    if (unit == 0) return bad();
    total += count * unit;
    rest.remove_prefix(static_cast<std::size_t>(stop - rest.data()) + 1);
  }
  if (total < 1 || total > 86400) return bad();
  return seconds(total);
}

// The inside of "word(…)".
std::optional<std::string_view> insideOf(std::string_view text, std::string_view word) {
  if (!text.starts_with(word) || !text.ends_with(')')) return std::nullopt;
  return text.substr(word.size(), text.size() - word.size() - 1);
}

Result<CivilSeconds> readCivil(std::string_view text) {
  const auto time = parseIso8601(std::string(text) + (text.ends_with('Z') ? "" : "Z"));
  if (time) return std::chrono::floor<seconds>(*time);
  return invalid(fmt::format("'{}' is not a time like 2026-01-01T09:00:00", text.substr(0, 64)));
}

const date::time_zone& zoneOf(const void* zone) {
  return *static_cast<const date::time_zone*>(zone);
}

}  // namespace

Result<TimeZone> TimeZone::find(std::string_view name) {
  TimeZone found;
  if (name.empty() || name == "UTC") return found;
  try {
    found.zone_ = date::locate_zone(std::string(name));
  } catch (const std::exception&) {
    return invalid(
        fmt::format("time zone '{}' is not known to this machine; use a name like "
                    "Asia/Tokyo",
                    name.substr(0, 64)));
  }
  return found;
}

CivilSeconds TimeZone::civil(sys_seconds time) const {
  if (zone_ == nullptr) return time;
  return CivilSeconds(zoneOf(zone_).to_local(time).time_since_epoch());
}

std::optional<sys_seconds> TimeZone::system(CivilSeconds time) const {
  if (zone_ == nullptr) return time;
  const date::local_seconds local(time.time_since_epoch());
  const date::local_info info = zoneOf(zone_).get_info(local);
  if (info.result == date::local_info::nonexistent) return std::nullopt;
  return sys_seconds(local.time_since_epoch() - info.first.offset);
}

Result<Schedule> Schedule::parse(std::string_view text, std::string_view zone) {
  constexpr std::string_view kZone = "CRON_TZ=", kEvery = "@every ";
  Schedule schedule;
  text = trim(text);
  if (text.starts_with(kZone)) {
    const auto end = std::min(text.find(' '), text.size());
    zone = text.substr(kZone.size(), end - kZone.size());
    text = trim(text.substr(end));
  }
  auto known = TimeZone::find(zone);
  if (!known) return fail(known.error());
  schedule.zone_ = *known;
  if (text.starts_with(kEvery)) {
    auto period = readPeriod(trim(text.substr(kEvery.size())));
    if (!period) return fail(period.error());
    schedule.rule_ = Every{*period};
    return schedule;
  }
  if (const auto inside = insideOf(text, "at(")) {
    auto time = readCivil(*inside);
    if (!time) return fail(time.error());
    schedule.rule_ = At{*time};
    return schedule;
  }
  const auto inside = insideOf(text, "cron(");
  auto cron = Cron::parse(inside ? *inside : text);
  if (!cron) return fail(cron.error());
  schedule.rule_ = *cron;
  return schedule;
}

std::optional<WallTime> Schedule::next(WallTime time, WallTime anchor) const {
  const sys_seconds after = toSeconds(time);
  if (const auto* every = std::get_if<Every>(&rule_)) {
    const sys_seconds start = toSeconds(anchor);
    if (after < start) return toWall(start + every->period);
    return toWall(start + ((after - start) / every->period + 1) * every->period);
  }
  if (const auto* at = std::get_if<At>(&rule_)) {
    const auto when = zone_.system(at->time);
    if (!when || *when <= after) return std::nullopt;
    return toWall(*when);
  }
  const Cron& cron = std::get<Cron>(rule_);
  for (auto civil = cron.next(zone_.civil(after)); civil; civil = cron.next(*civil)) {
    const auto when = zone_.system(*civil);
    if (when && *when > after) return toWall(*when);
  }
  return std::nullopt;
}

std::optional<WallTime> Schedule::previous(WallTime time) const {
  const sys_seconds until = toSeconds(time);
  if (std::holds_alternative<Every>(rule_)) return std::nullopt;
  if (const auto* at = std::get_if<At>(&rule_)) {
    const auto when = zone_.system(at->time);
    if (!when || *when > until) return std::nullopt;
    return toWall(*when);
  }
  const Cron& cron = std::get<Cron>(rule_);
  for (auto civil = cron.previous(zone_.civil(until)); civil;
       civil = cron.previous(*civil - seconds(1))) {
    const auto when = zone_.system(*civil);
    if (when && *when <= until) return toWall(*when);
  }
  return std::nullopt;
}

Result<WallTime> parseZonedTime(std::string_view text, std::string_view zone) {
  auto known = TimeZone::find(text.ends_with('Z') ? std::string_view() : zone);
  if (!known) return fail(known.error());
  auto civil = readCivil(text);
  if (!civil) return fail(civil.error());
  const auto when = known->system(*civil);
  if (!when) return invalid(fmt::format("'{}' is skipped by the clocks of {}", text, zone));
  return toWall(*when);
}

}  // namespace okibi
