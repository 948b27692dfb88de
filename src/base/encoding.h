#pragma once
// Small text encodings that several rooms need: hex, base64, percent-encoding, civil time.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/units.h"

namespace okibi {

std::string toHex(std::span<const std::uint8_t> bytes);        // lower case
std::string toBase64(std::string_view bytes);                  // with padding
std::optional<std::string> fromBase64(std::string_view text);  // strict alphabet and padding

// RFC 3986: everything but unreserved characters becomes %XX (upper-case hex).
std::string percentEncode(std::string_view text);
// nullopt on a broken escape. '+' is left alone.
std::optional<std::string> percentDecode(std::string_view text);

std::vector<std::string_view> split(std::string_view text, char separator);
std::string_view trim(std::string_view text);                   // spaces and tabs
std::string toLower(std::string_view text);                     // ASCII only
bool equalsIgnoreCase(std::string_view a, std::string_view b);  // ASCII only

// "2026-11-24T22:31:07Z"; formatIso8601Milliseconds adds ".123".
std::string formatIso8601(WallTime time);
std::string formatIso8601Milliseconds(WallTime time);
// Accepts YYYY-MM-DDTHH:MM:SS[.fraction]Z.
std::optional<WallTime> parseIso8601(std::string_view text);

// Edit distance, for "did you mean". Linear memory.
std::size_t editDistance(std::string_view a, std::string_view b);

}  // namespace okibi
