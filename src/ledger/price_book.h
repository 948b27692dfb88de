#pragma once
// PriceBook: what usage costs. Prices are exact decimal numbers; an amount is computed from the
// sums of one usage line (ledger/fold.h: function, day, card type, price) and rounded once, half
// up, to a millionth of the currency. Totals are sums of lines, so that a printed table adds up.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "ledger/usage.h"

namespace okibi::ledger {

// "0.000018" -> 18000. Invalid: not a plain decimal number, negative, more than 9 decimals, over
// 10^9.
Result<UnitPrice> parseUnitPrice(std::string_view text);
std::string toString(UnitPrice price);  // shortest decimal
// "0.2592", "3.60": at least two, at most six decimals.
std::string toString(Money amount);

struct PriceBook {
  std::string currency = "USD";
  UnitPrice gpuGbSecond{18'000};                                // active GPU time, per GB of slice
  std::map<std::string, UnitPrice, std::less<>> gpuGbSecondOf;  // by card type, over the above
  UnitPrice vcpuSecond, memoryGbSecond, millionCalls;           // not priced in the first form
  UnitPrice alwaysOnCardHour{2'000'000'000};  // the card the bill is compared with

  // Of kept instances that rest. Unset, GPU time costs the part of its active price that Function
  // Compute's price list has for the card type (Function Compute: billing), memory two thirds.
  std::optional<UnitPrice> gpuIdleGbSecond;
  std::map<std::string, UnitPrice, std::less<>> gpuIdleGbSecondOf;
  std::optional<UnitPrice>
      memoryIdleGbSecond;  // of instances with a GPU; others pay the active one

  UnitPrice gpuPrice(std::string_view gpuType) const;
  UnitPrice gpuIdlePrice(std::string_view gpuType) const;
  // Usage of one card type, active and idle. `gpuPrice` given by hand: the price it was used under
  // (UsageLine).
  Money priceOf(const Usage& usage, UnitPrice gpuPrice) const;
  // `cards` whole cards rented for `time`.
  Money alwaysOn(std::int64_t cards, Duration time) const;
  bool operator==(const PriceBook&) const = default;
};

// Lines "key = value"; '#' begins a comment. Keys: currency, gpu_gb_second, gpu_gb_second.<card
// type>, gpu_idle_gb_second, gpu_idle_gb_second.<card type>, memory_idle_gb_second, vcpu_second,
// memory_gb_second, million_calls, always_on_card_hour. Missing keys keep the default above;
// Invalid names the line of an unknown or repeated key or a bad value.
Result<PriceBook> parsePriceBook(std::string_view text);
// The text of the default price book, with comments, for people to start from.
std::string_view defaultPriceBookText();

// `okibi estimate`: what a steady load would cost per day, before deploying anything.
struct EstimateInput {
  std::int64_t callsPerDay = 0;
  Duration perCall{};   // busy time of one call
  std::string gpuType;  // empty: the general price
  Bytes gpuMemory;      // the slice
};
struct Estimate {
  Money perDay;                    // each call alone on its instance, so each is rounded up to 1 s
  Money alwaysOnPerDay;            // alwaysOnCards cards all day
  std::int64_t alwaysOnCards = 1;  // as many as the busy time needs at least
  double utilization = 0;          // busy time / card time of the always-on cards, 0..1
  double saving = 0;  // 1 - perDay / alwaysOnPerDay; negative when always-on is cheaper
  std::int64_t gpuMbMs = 0;
};
// Invalid: negative numbers, more than 10^9 calls, over a day per call, slice below 1 MB.
Result<Estimate> estimate(const PriceBook& prices, const EstimateInput& input);

}  // namespace okibi::ledger
