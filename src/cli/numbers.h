#pragma once
// Numbers and sizes as people write and read them.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/units.h"

namespace okibi::cli {

// "4G", "4GB", "1.5G", "4096M", "512" (megabytes). Invalid: no number, zero, over 1,024 GB, another
// unit.
Result<Bytes> parseSize(std::string_view text);
// "3600", "50_000", "50,000". Invalid: not a whole number from 0 to 10^9.
Result<std::int64_t> parseCount(std::string_view text);
// "1", "0.25", "300ms", "2m". Invalid: not a number, negative, over a day.
Result<Duration> parseSeconds(std::string_view text);

std::string formatMegabytes(double megabytes);  // "512 MB", "1.5 GB"
std::string formatMilliseconds(double ms);      // "0.42 ms", "12.3 ms", "1.25 s", "3 min 20 s"
std::string formatMoney(double amount, std::string_view currency);  // "0.2592 USD", "2,784.00 USD"
std::string formatCount(double count);                              // "12,345"
std::string formatPercent(double fraction);                         // "4.17%", ">99.99%"

}  // namespace okibi::cli
