#include "ledger/price_book.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "base/encoding.h"

namespace okibi::ledger {
namespace {

using Wide = __int128;

constexpr std::int64_t kNanosPerUnit = 1'000'000'000;
constexpr int kDecimals = 9;
constexpr std::int64_t kMbMsPerGbSecond = 1024 * 1000;
constexpr std::int64_t kMilliMsPerVcpuSecond = 1'000'000;
constexpr std::int64_t kMillion = 1'000'000;
constexpr std::int64_t kNanosPerMicro = 1000;
constexpr Duration kDay = std::chrono::hours(24);

// Compute units per GB and second, active and idle (Function Compute: billing), in hundredths; the
// first is for types the list does not have.
struct IdleShare {
  std::string_view type;
  std::int64_t active, idle;
};
constexpr IdleShare kIdleShares[] = {
    {"fc.gpu.tesla.1", 2100, 500},  {"fc.gpu.ampere.1", 1800, 300},
    {"fc.gpu.ada.1", 1700, 200},    {"fc.gpu.ada.2", 1950, 230},
    {"fc.gpu.ada.3", 1950, 230},    {"fc.gpu.blackwell.1", 2100, 280},
    {"fc.gpu.hopper.1", 2310, 315}, {"fc.gpu.hopper.2", 2310, 315},
    {"fc.gpu.xpu.1", 1200, 230}};

// Half up; amounts are not negative.
Money roundToMicros(Wide numerator, Wide denominator) {
  return Money(static_cast<std::int64_t>((numerator + denominator / 2) / denominator));
}

bool isDigits(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

std::unexpected<Error> badPrice(std::string_view text, std::string_view why) {
  return fail(ErrorKind::Invalid, fmt::format("price '{}' {}", text, why));
}

// Digits of `text` as a number; the caller has bounded the length.
std::int64_t number(std::string_view text) {
  std::int64_t value = 0;
  for (const char c : text) value = value * 10 + (c - '0');
  return value;
}

std::string decimal(std::int64_t value, std::int64_t one, int decimals, int keep) {
  const char* sign = value < 0 ? "-" : "";
  if (value < 0) value = -value;
  std::string text = fmt::format("{}{}.{:0{}}", sign, value / one, value % one, decimals);
  const std::size_t shortest = text.size() - static_cast<std::size_t>(decimals - keep);
  while (text.size() > shortest && text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

// The price a key of the price file names; nullptr for a key it does not know.
UnitPrice* slotFor(PriceBook& book, std::string_view key) {
  constexpr std::string_view kCardPrefix = "gpu_gb_second.";
  if (key == "gpu_gb_second") return &book.gpuGbSecond;
  constexpr std::string_view kIdlePrefix = "gpu_idle_gb_second.";
  if (key == "gpu_idle_gb_second") return &book.gpuIdleGbSecond.emplace();
  if (key == "memory_idle_gb_second") return &book.memoryIdleGbSecond.emplace();
  if (key.starts_with(kIdlePrefix) && key.size() > kIdlePrefix.size()) {
    return &book.gpuIdleGbSecondOf[std::string(key.substr(kIdlePrefix.size()))];
  }
  if (key == "vcpu_second") return &book.vcpuSecond;
  if (key == "memory_gb_second") return &book.memoryGbSecond;
  if (key == "million_calls") return &book.millionCalls;
  if (key == "always_on_card_hour") return &book.alwaysOnCardHour;
  if (key.starts_with(kCardPrefix) && key.size() > kCardPrefix.size()) {
    return &book.gpuGbSecondOf[std::string(key.substr(kCardPrefix.size()))];
  }
  return nullptr;
}

Result<void> applyLine(PriceBook& book, std::string_view key, std::string_view value) {
  if (key == "currency") {
    const bool letters = std::ranges::all_of(value, [](char c) { return c >= 'A' && c <= 'Z'; });
    if (value.size() != 3 || !letters) {
      return fail(ErrorKind::Invalid,
                  fmt::format("currency '{}' is not three capital letters", value));
    }
    book.currency = value;
    return {};
  }
  UnitPrice* slot = slotFor(book, key);
  if (slot == nullptr) return fail(ErrorKind::Invalid, fmt::format("unknown key '{}'", key));
  const auto price = parseUnitPrice(value);
  if (!price) return fail(price.error());
  *slot = *price;
  return {};
}

Result<void> checkInput(const EstimateInput& input) {
  if (input.callsPerDay < 0 || input.callsPerDay > kNanosPerUnit) {
    return fail(ErrorKind::Invalid,
                fmt::format("calls per day: {} is not in 0..1000000000", input.callsPerDay));
  }
  if (input.perCall < Duration::zero() || input.perCall > kDay) {
    return fail(ErrorKind::Invalid,
                fmt::format("seconds per call: {:.3f} is not in 0..86400",
                            std::chrono::duration<double>(input.perCall).count()));
  }
  if (input.gpuMemory < Bytes::mib(1) || input.gpuMemory > Bytes::gib(1024)) {
    return fail(ErrorKind::Invalid,
                fmt::format("gpu: {} MB is not in 1..1048576", input.gpuMemory.wholeMib()));
  }
  return {};
}

}  // namespace

Result<UnitPrice> parseUnitPrice(std::string_view text) {
  const std::size_t point = text.find('.');
  const std::string_view whole = text.substr(0, point);
  std::string_view fraction;
  if (point != std::string_view::npos) {
    fraction = text.substr(point + 1);
    if (fraction.empty()) return badPrice(text, "is not a decimal number like 0.000018");
  }
  if (whole.empty() || !isDigits(whole) || !isDigits(fraction)) {
    return badPrice(text, "is not a decimal number like 0.000018");
  }
  if (fraction.size() > kDecimals) return badPrice(text, "has more than 9 decimals");
  if (whole.size() > 9) return badPrice(text, "is over 999999999");
  std::string padded(fraction);
  padded.resize(kDecimals, '0');
  return UnitPrice{number(whole) * kNanosPerUnit + number(padded)};
}

std::string toString(UnitPrice price) {
  return decimal(price.nanos, kNanosPerUnit, kDecimals, 0);
}

std::string toString(Money amount) {
  return decimal(amount.micros(), kMillion, 6, 2);
}

UnitPrice PriceBook::gpuPrice(std::string_view gpuType) const {
  const auto found = gpuGbSecondOf.find(gpuType);
  return found == gpuGbSecondOf.end() ? gpuGbSecond : found->second;
}

UnitPrice PriceBook::gpuIdlePrice(std::string_view gpuType) const {
  const auto found = gpuIdleGbSecondOf.find(gpuType);
  if (found != gpuIdleGbSecondOf.end()) return found->second;
  if (gpuIdleGbSecond) return *gpuIdleGbSecond;
  const auto* share = std::ranges::find(kIdleShares, gpuType, &IdleShare::type);
  if (share == std::end(kIdleShares)) share = kIdleShares;
  const Wide part = static_cast<Wide>(gpuPrice(gpuType).nanos) * share->idle;
  return UnitPrice{static_cast<std::int64_t>((part + share->active / 2) / share->active)};
}

Money PriceBook::priceOf(const Usage& usage, UnitPrice gpu) const {
  // One fraction over the common denominator of all units, so that there is one rounding.
  constexpr Wide kDenominator = static_cast<Wide>(kMbMsPerGbSecond) * kMillion;
  Wide sum = 0;
  sum += (static_cast<Wide>(usage.gpuMbMs) + usage.idleGpuMbMs) * gpu.nanos *
         (kDenominator / kMbMsPerGbSecond);
  sum += static_cast<Wide>(usage.memoryMbMs) * memoryGbSecond.nanos *
         (kDenominator / kMbMsPerGbSecond);
  const std::int64_t twoThirds = (memoryGbSecond.nanos * 2 + 1) / 3;
  const std::int64_t idleMemory = usage.idleGpuMbMs == 0
                                      ? memoryGbSecond.nanos
                                      : memoryIdleGbSecond.value_or(UnitPrice{twoThirds}).nanos;
  sum += static_cast<Wide>(usage.idleMemoryMbMs) * idleMemory * (kDenominator / kMbMsPerGbSecond);
  sum += static_cast<Wide>(usage.cpuMilliMs) * vcpuSecond.nanos *
         (kDenominator / kMilliMsPerVcpuSecond);
  sum += static_cast<Wide>(usage.calls) * millionCalls.nanos * (kDenominator / kMillion);
  return roundToMicros(sum, kDenominator * kNanosPerMicro);
}

Money PriceBook::alwaysOn(std::int64_t cards, Duration time) const {
  const Wide nanos = static_cast<Wide>(alwaysOnCardHour.nanos) * cards * time.count();
  const Wide hour = Duration(std::chrono::hours(1)).count();
  return roundToMicros(nanos, hour * kNanosPerMicro);
}

Result<PriceBook> parsePriceBook(std::string_view text) {
  PriceBook book;
  std::set<std::string, std::less<>> seen;
  int lineNumber = 0;
  for (std::string_view line : split(text, '\n')) {
    ++lineNumber;
    if (line.ends_with('\r')) line.remove_suffix(1);
    line = trim(line.substr(0, line.find('#')));
    if (line.empty()) continue;
    const auto failed = [&](std::string_view why) {
      return fail(ErrorKind::Invalid, fmt::format("price file, line {}: {}", lineNumber, why));
    };
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) return failed("'key = value' expected");
    const std::string_view key = trim(line.substr(0, equals));
    if (!seen.insert(std::string(key)).second) return failed(fmt::format("'{}' again", key));
    const auto applied = applyLine(book, key, trim(line.substr(equals + 1)));
    if (!applied) return failed(applied.error().message);
  }
  return book;
}

std::string_view defaultPriceBookText() {
  return R"(# Prices. Amounts are exact decimals, at most 9 of them behind the point.
currency = USD

# GPU time while an instance is active: per GB of its slice and second, each active interval rounded up
# to 1 s. A card type can have its own price: gpu_gb_second.fc.gpu.ada.1 = 0.00002
gpu_gb_second = 0.000018

# The same of kept instances that rest (alwaysAllocateGPU or alwaysAllocateCPU false). By default the
# part of the active price that Function Compute's list has for the card type: fc.gpu.tesla.1 24 %.
# gpu_idle_gb_second = 0.0000043
# gpu_idle_gb_second.fc.gpu.ada.1 = 0.000002

# Not priced by default. memory_idle_gb_second, of resting instances with a GPU, is two thirds of memory_gb_second.
vcpu_second = 0
memory_gb_second = 0
million_calls = 0

# The card that runs all day, which the bill is compared with.
always_on_card_hour = 2
)";
}

Result<Estimate> estimate(const PriceBook& prices, const EstimateInput& input) {
  if (auto ok = checkInput(input); !ok) return fail(std::move(ok.error()));
  Estimate result;
  // Both factors are bounded (10^9 calls, 86,400,000 ms, 2^20 MB), their product is not.
  const Wide gpuMbMs = static_cast<Wide>(input.callsPerDay) * billedGpuMilliseconds(input.perCall) *
                       input.gpuMemory.wholeMib();
  if (gpuMbMs > INT64_MAX) {
    return fail(ErrorKind::Invalid, "this load is beyond what can be counted in a day");
  }
  result.gpuMbMs = static_cast<std::int64_t>(gpuMbMs);
  Usage usage;
  usage.calls = input.callsPerDay;
  usage.gpuMbMs = result.gpuMbMs;
  result.perDay = prices.priceOf(usage, prices.gpuPrice(input.gpuType));

  const Wide busy = static_cast<Wide>(input.callsPerDay) * input.perCall.count();
  const Wide day = kDay.count();
  result.alwaysOnCards =
      std::max<std::int64_t>(1, static_cast<std::int64_t>((busy + day - 1) / day));
  result.alwaysOnPerDay = prices.alwaysOn(result.alwaysOnCards, kDay);
  result.utilization = static_cast<double>(busy) / static_cast<double>(day) /
                       static_cast<double>(result.alwaysOnCards);
  if (result.alwaysOnPerDay > Money()) {
    result.saving = 1.0 - static_cast<double>(result.perDay.micros()) /
                              static_cast<double>(result.alwaysOnPerDay.micros());
  }
  return result;
}

}  // namespace okibi::ledger
