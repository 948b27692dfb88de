#include "cli/numbers.h"

#include <charconv>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include "base/encoding.h"

namespace okibi::cli {

namespace {

struct Quantity {
  double number;
  std::string unit;  // lower case, may be empty
};

std::optional<Quantity> readQuantity(std::string_view text) {
  text = trim(text);
  Quantity result{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), result.number,
                                      std::chars_format::fixed);
  if (error != std::errc() || !std::isfinite(result.number)) return std::nullopt;
  std::size_t used = static_cast<std::size_t>(end - text.data());
  result.unit = toLower(trim(text.substr(used)));
  return result;
}

std::string withoutTrailingZeros(std::string text) {
  if (text.find('.') == std::string::npos) return text;
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

std::string groupThousands(std::string digits) {
  for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

}  // namespace

Result<Bytes> parseSize(std::string_view text) {
  std::optional<Quantity> quantity = readQuantity(text);
  auto bad = [&](std::string_view why) {
    return fail(ErrorKind::Invalid,
                fmt::format("'{}' {}: a size is written 4G, 1.5G or 4096M", text, why));
  };
  if (!quantity) return bad("is not a size");
  double megabytes = quantity->number;
  if (quantity->unit == "g" || quantity->unit == "gb" || quantity->unit == "gib") {
    megabytes *= 1024;
  } else if (!quantity->unit.empty() && quantity->unit != "m" && quantity->unit != "mb" &&
             quantity->unit != "mib") {
    return bad("has an unknown unit");
  }
  if (megabytes < 1 || megabytes > 1024 * 1024) return bad("is outside 1 MB to 1,024 GB");
  return Bytes(static_cast<std::int64_t>(std::llround(megabytes * 1024 * 1024)));
}

Result<std::int64_t> parseCount(std::string_view text) {
  std::string digits;
  for (char c : trim(text)) {
    if (c != ',' && c != '_') digits.push_back(c);
  }
  std::int64_t value = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size() || value < 0 ||
      value > 1'000'000'000) {
    return fail(ErrorKind::Invalid,
                fmt::format("'{}' is not a whole number from 0 to 1,000,000,000", text));
  }
  return value;
}

Result<Duration> parseSeconds(std::string_view text) {
  std::optional<Quantity> quantity = readQuantity(text);
  auto bad = [&](std::string_view why) {
    return fail(ErrorKind::Invalid,
                fmt::format("'{}' {}: a time is written 1, 0.25, 300ms or 2m", text, why));
  };
  if (!quantity) return bad("is not a time");
  double seconds = quantity->number;
  if (quantity->unit == "ms") {
    seconds /= 1000;
  } else if (quantity->unit == "m" || quantity->unit == "min") {
    seconds *= 60;
  } else if (!quantity->unit.empty() && quantity->unit != "s") {
    return bad("has an unknown unit");
  }
  if (seconds < 0 || seconds > 86'400) return bad("is outside 0 to 86,400 s");
  return Duration(std::llround(seconds * 1e9));
}

std::string formatMegabytes(double megabytes) {
  if (megabytes < 1024) return withoutTrailingZeros(fmt::format("{:.1f}", megabytes)) + " MB";
  return withoutTrailingZeros(fmt::format("{:.2f}", megabytes / 1024)) + " GB";
}

std::string formatMilliseconds(double ms) {
  if (ms < 10) return fmt::format("{:.2f} ms", ms);
  if (ms < 999.5) return fmt::format("{:.1f} ms", ms);
  if (ms < 60'000) return fmt::format("{:.2f} s", ms / 1000);
  std::int64_t seconds = std::llround(ms / 1000);
  if (seconds < 3600) return fmt::format("{} min {} s", seconds / 60, seconds % 60);
  return fmt::format("{} h {} min", seconds / 3600, seconds % 3600 / 60);
}

std::string formatMoney(double amount, std::string_view currency) {
  // Millionths matter in small amounts only; cents are always shown.
  std::string digits = fmt::format("{:.{}f}", amount, amount < 1 ? 6 : 2);
  const std::size_t point = digits.find('.');
  digits.resize(std::max(point + 3, digits.find_last_not_of('0') + 1));
  return groupThousands(digits.substr(0, point)) + digits.substr(point) + " " +
         std::string(currency);
}

std::string formatCount(double count) {
  return (count < 0 ? "-" : "") + groupThousands(std::to_string(std::llround(std::fabs(count))));
}

std::string formatPercent(double fraction) {
  // What is not all and not nothing is not shown as if it were.
  if (fraction < 1 && fraction >= 0.99995) return ">99.99%";
  if (fraction > 0 && fraction < 0.00005) return "<0.01%";
  return fmt::format("{:.2f}%", fraction * 100);
}

}  // namespace okibi::cli
