#include "planner/holding_price.h"

#include <algorithm>
#include <cmath>

namespace okibi::planner {
namespace {

constexpr double kRemember = 3000;            // idle times that the sums look back, at least
constexpr double kRememberSeconds = 86'400;   // and so long
constexpr int kSolveEvery = 20;               // idle times
constexpr double kThrift = 0.985;             // of the budget is planned, so that it is kept
constexpr double kCorrection = 4;             // how hard an overdrawn budget is saved again
constexpr double kLowest = -25, kRange = 26;  // logarithms of what can be told apart

}  // namespace

std::size_t HoldingPrice::binOf(double worth) {
  const double place = (std::log(worth) - kLowest) / kRange * kBins;
  return static_cast<std::size_t>(std::clamp(place, 0.0, kBins - 1.0));
}

void HoldingPrice::count(double worth, double gibSeconds, double rule, double held) {
  worths_[binOf(worth)] += weight_ * gibSeconds;
  rule_ += weight_ * rule;
  held_ += weight_ * held;
}

void HoldingPrice::compare(double lost, double lostByRule) {
  behind_ += weight_ * (lost - lostByRule);
}

// Instead of making all sums smaller, what comes is made larger.
void HoldingPrice::fade(double seconds) {
  weight_ *= 1 + std::min(1 / kRemember, seconds / kRememberSeconds);
  if (weight_ > 1e6) rescale();
  if (++untilSolved_ < kSolveEvery) return;
  untilSolved_ = 0;
  solve();
}

void HoldingPrice::rescale() {
  for (double& worth : worths_) worth /= weight_;
  rule_ /= weight_;
  held_ /= weight_;
  behind_ /= weight_;
  weight_ = 1;
}

// What was held beyond the rule is saved again, and what was saved may be spent.
void HoldingPrice::solve() {
  const double saved = (kThrift * rule_ - held_) / std::max(rule_, 1e-3);
  const double target = kThrift * rule_ * std::clamp(1 + kCorrection * saved, 0.3, 1.3);
  double sum = 0;
  std::size_t bin = kBins;
  while (bin > 0 && sum <= target) sum += worths_[--bin];
  price_ = std::exp(static_cast<double>(bin + 1) * kRange / kBins + kLowest);
}

}  // namespace okibi::planner
