#pragma once
// Times, sizes and lists as people write them in options and scenario files.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"

namespace okibi::sim {

// "60", "60s", "250ms", "10m", "2h", "14d"; "0" is allowed. Invalid: not a number, negative, an
// unknown unit, over ten years.
Result<Duration> parseDuration(std::string_view text);
// "16G", "512M"; a plain number is megabytes. Invalid: not above zero, over 1 PB.
Result<Bytes> parseBytes(std::string_view text);
Result<double> parseNumber(std::string_view text);
Result<std::int64_t> parseInteger(std::string_view text);
// The parts between separators, blanks around them taken off; an empty text has no parts.
std::vector<std::string> split(std::string_view text, char separator);
// "60s", "10m", "1h30m": the shortest that says it exactly down to a millisecond.
std::string formatDuration(Duration duration);
double toSeconds(Duration duration);
Duration fromSeconds(double seconds);

}  // namespace okibi::sim
