#include "sim/parse.h"

#include <charconv>
#include <cmath>
#include <optional>

#include <fmt/format.h>

namespace okibi::sim {
namespace {

constexpr double kLongest = 10 * 366 * 86400.0;

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) {
    text.remove_suffix(1);
  }
  return text;
}

// The number a text begins with; what follows it is left in `text`.
std::optional<double> takeNumber(std::string_view& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || !std::isfinite(value)) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

std::optional<double> secondsOf(std::string_view unit) {
  if (unit.empty() || unit == "s") return 1;
  if (unit == "ms") return 1e-3;
  if (unit == "us") return 1e-6;
  if (unit == "ns") return 1e-9;
  if (unit == "m" || unit == "min") return 60;
  if (unit == "h") return 3600;
  if (unit == "d") return 86400;
  return std::nullopt;
}

std::optional<double> mebibytesOf(std::string_view unit) {
  if (unit.empty() || unit == "M" || unit == "MB") return 1;
  if (unit == "G" || unit == "GB") return 1024;
  if (unit == "T" || unit == "TB") return 1024 * 1024;
  return std::nullopt;
}

}  // namespace

Result<Duration> parseDuration(std::string_view text) {
  std::string_view rest = trim(text);
  const auto number = takeNumber(rest);
  const auto unit = secondsOf(trim(rest));
  if (!number || !unit || *number < 0 || *number * *unit > kLongest) {
    return fail(
        ErrorKind::Invalid,
        fmt::format("'{}' is not a time from 0 to 10 years, as 250ms, 60s, 10m, 2h, 14d", text));
  }
  return fromSeconds(*number * *unit);
}

Result<Bytes> parseBytes(std::string_view text) {
  std::string_view rest = trim(text);
  const auto number = takeNumber(rest);
  const auto unit = mebibytesOf(trim(rest));
  constexpr double kMebibyte = 1024 * 1024;
  if (!number || !unit || *number <= 0 || *number * *unit > kMebibyte * 1024) {
    return fail(ErrorKind::Invalid,
                fmt::format("'{}' is not a size up to 1024T, as 512M or 16G", text));
  }
  return Bytes(std::llround(*number * *unit * kMebibyte));
}

Result<double> parseNumber(std::string_view text) {
  std::string_view rest = trim(text);
  const auto number = takeNumber(rest);
  if (!number || !rest.empty()) {
    return fail(ErrorKind::Invalid, fmt::format("'{}' is not a number", text));
  }
  return *number;
}

Result<std::int64_t> parseInteger(std::string_view text) {
  const std::string_view digits = trim(text);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) {
    return fail(ErrorKind::Invalid, fmt::format("'{}' is not a whole number", text));
  }
  return value;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  if (trim(text).empty()) return parts;
  while (true) {
    const std::size_t at = text.find(separator);
    parts.emplace_back(trim(text.substr(0, at)));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::string formatDuration(Duration duration) {
  std::int64_t left = duration.count() / 1'000'000;
  if (left == 0) return "0s";
  std::string text;
  for (const auto& [size, unit] :
       {std::pair(86'400'000LL, "d"), std::pair(3'600'000LL, "h"), std::pair(60'000LL, "m"),
        std::pair(1'000LL, "s"), std::pair(1LL, "ms")}) {
    if (left < size) continue;
    text += fmt::format("{}{}", left / size, unit);
    left %= size;
  }
  return text;
}

double toSeconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

Duration fromSeconds(double seconds) {
  return Duration(std::llround(seconds * 1e9));
}

}  // namespace okibi::sim
