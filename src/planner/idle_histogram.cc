#include "planner/idle_histogram.h"

#include <cmath>
#include <optional>

namespace okibi::planner {
namespace {

constexpr double kHead = 0.05, kTail = 0.99;
constexpr double kMargin = 0.1;   // the window is this much wider on both sides
constexpr double kSpread = 2;     // less is too even to tell anything
constexpr double kTooMany = 0.5;  // share of idle times beyond the range

Duration minutes(double count) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double, std::ratio<60>>(count));
}

}  // namespace

IdleHistogram::IdleHistogram(Duration range)
    : bins_(static_cast<std::size_t>(range / std::chrono::minutes(1))) {}

void IdleHistogram::learn(Duration idle) {
  const auto bin = static_cast<std::size_t>(idle / std::chrono::minutes(1));
  if (bin >= bins_.size()) {
    ++beyond_;
    return;
  }
  squares_ += 2.0 * bins_[bin] + 1;
  ++bins_[bin];
  ++sum_;
}

IdleHistogram::Window IdleHistogram::window() const {
  const auto bins = static_cast<double>(bins_.size());
  const Window standard{Duration::zero(), minutes(bins)};
  if (sum_ == 0 || beyond_ >= kTooMany * (beyond_ + sum_)) return standard;
  const double mean = sum_ / bins;
  if (std::sqrt((squares_ - bins * mean * mean) / (bins - 1)) / mean < kSpread) return standard;
  double seen = 0;
  std::optional<std::size_t> head;
  std::size_t tail = 0;
  for (std::size_t i = 0; i < bins_.size(); ++i) {
    if (bins_[i] == 0) continue;
    seen += bins_[i];
    if (!head && seen >= kHead * sum_) head = i;
    tail = i;
    if (seen >= kTail * sum_) break;
  }
  return {minutes(static_cast<double>(head.value_or(0)) * (1 - kMargin)),
          minutes(static_cast<double>(tail + 1) * (1 + kMargin))};
}

}  // namespace okibi::planner
