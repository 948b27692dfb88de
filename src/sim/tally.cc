#include "sim/tally.h"

#include <algorithm>

namespace okibi::sim {
namespace {

// (cold share, weight) of the functions that had requests, best first.
std::vector<std::pair<double, double>> coldShares(const Tally& tally,
                                                  const std::vector<double>& weights) {
  std::vector<std::pair<double, double>> shares;
  for (std::size_t i = 0; i < tally.functions.size(); ++i) {
    const FunctionTally& function = tally.functions[i];
    if (function.requests == 0) continue;
    shares.emplace_back(static_cast<double>(function.cold) / function.requests, weights[i]);
  }
  std::ranges::sort(shares);
  return shares;
}

}  // namespace

double Tally::coldShareOfFunctionAt(double share, const std::vector<double>& weights) const {
  const auto shares = coldShares(*this, weights);
  double total = 0, sum = 0;
  for (const auto& [value, weight] : shares) total += weight;
  for (const auto& [value, weight] : shares) {
    sum += weight;
    if (sum >= share * total) return value;
  }
  return 0;
}

double Tally::alwaysColdFunctions(const std::vector<double>& weights) const {
  double total = 0, always = 0;
  for (const auto& [value, weight] : coldShares(*this, weights)) {
    total += weight;
    if (value >= 1) always += weight;
  }
  return total > 0 ? always / total : 0;
}

}  // namespace okibi::sim
