#include "auth/legacy.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <vector>

#include "auth/canonical.h"
#include "auth/digest.h"
#include "base/encoding.h"

namespace okibi::auth {
namespace {

constexpr std::string_view kScheme = "FC ";
constexpr std::size_t kAuthorizationMax = 512;

std::optional<int> number(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text[0] == '-') return {};
  return value;
}

}  // namespace

std::optional<LegacyAuthorization> parseLegacyAuthorization(std::string_view text) {
  text = trim(text);
  if (text.size() > kAuthorizationMax || !text.starts_with(kScheme)) return std::nullopt;
  text.remove_prefix(kScheme.size());
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == text.size()) {
    return std::nullopt;
  }
  return LegacyAuthorization{std::string(text.substr(0, colon)),
                             std::string(text.substr(colon + 1))};
}

std::string legacySignatureOf(const RequestHead& request, std::string_view secret) {
  std::string text = request.method;
  for (const std::string_view name : {"content-md5", "content-type", "date"}) {
    text += '\n' + headerValue(request, name).value_or("");
  }
  text += '\n';
  std::vector<std::string> names;
  for (const auto& [name, value] : request.headers) {
    std::string lower = toLower(name);
    if (lower.starts_with("x-fc-")) names.push_back(std::move(lower));
  }
  std::ranges::sort(names);
  names.erase(std::ranges::unique(names).begin(), names.end());
  for (const std::string& name : names) {
    text += name + ':' + headerValue(request, name).value_or("") + '\n';
  }
  text += request.path;
  const Digest digest = hmacSha256(secret, text);
  return toBase64({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

std::optional<WallTime> parseHttpDate(std::string_view text) {
  using namespace std::chrono;
  constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  constexpr std::string_view kForm = "Www, dd Mmm yyyy hh:mm:ss GMT";
  if (text.size() != kForm.size() || !text.ends_with(" GMT")) return std::nullopt;
  for (std::size_t i = 0; i < kForm.size(); ++i) {
    const bool punctuation = kForm[i] == ' ' || kForm[i] == ',' || kForm[i] == ':';
    if (punctuation && text[i] != kForm[i]) return std::nullopt;
  }
  const auto at = [&](std::size_t begin, std::size_t length) {
    return number(text.substr(begin, length)).value_or(-1);
  };
  const auto month = std::ranges::find(kMonths, text.substr(8, 3));
  const int dayOfMonth = at(5, 2), yearNumber = at(12, 4);
  const int hour = at(17, 2), minute = at(20, 2), second = at(23, 2);
  if (month == kMonths.end() || dayOfMonth < 1 || yearNumber < 0 || hour < 0 || hour > 23 ||
      minute < 0 || minute > 59 || second < 0 || second > 60) {
    return std::nullopt;
  }
  const year_month_day date{year(yearNumber),
                            std::chrono::month(static_cast<unsigned>(month - kMonths.begin()) + 1),
                            day(static_cast<unsigned>(dayOfMonth))};
  if (!date.ok()) return std::nullopt;
  return WallTime(sys_days(date) + hours(hour) + minutes(minute) + seconds(second));
}

}  // namespace okibi::auth
