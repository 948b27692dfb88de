#pragma once
// The settings that `okibi whatif` tries: lists as people write them, and their cross product.

#include <string>
#include <vector>

#include "sim/what_if.h"

namespace okibi::cli {

inline constexpr std::size_t kMostSettings = 200;

// Empty: as the function is configured.
struct SettingsLists {
  std::vector<int> concurrency, minimum;
  std::vector<Duration> idle;
  std::vector<Bytes> slice;
};
// "1,2,4"; "60,5m"; "4,8G"; "0,1". Invalid names the option, the item and the allowed range.
Result<SettingsLists> readSettingsLists(const std::string& concurrency, const std::string& idle,
                                        const std::string& slice, const std::string& minimum);
// Ordered as the lists are, the slice varying last but one. Invalid: more than kMostSettings, a
// slice for a CPU function or one that no card has, more kept instances than there may be.
Result<std::vector<sim::WhatIfSetting>> settingsOf(const SettingsLists& lists,
                                                   const sim::WhatIfSetting& current,
                                                   const sim::Recording& recording);

}  // namespace okibi::cli
