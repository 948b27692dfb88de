#include "conductor/traffic_split.h"

#include <algorithm>

namespace okibi::conductor {

TrafficSplit::TrafficSplit(const Alias& alias) {
  std::int64_t left = kWhole;
  for (const auto& [version, weight] : alias.additional) {
    if (weight > 0) shares_.push_back({version, weight, 0});
    left -= weight;
  }
  if (left > 0 || shares_.empty()) shares_.insert(shares_.begin(), {alias.versionId, left, 0});
}

const std::string& TrafficSplit::next() {
  for (Share& share : shares_) share.credit += share.weight;
  // Of equals the first.
  const auto richest = std::ranges::max_element(shares_, {}, &Share::credit);
  richest->credit -= kWhole;
  return richest->version;
}

}  // namespace okibi::conductor
