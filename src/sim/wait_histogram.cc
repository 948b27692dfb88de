#include "sim/wait_histogram.h"

#include <algorithm>
#include <cmath>

#include "sim/parse.h"

namespace okibi::sim {
namespace {

constexpr double kUnit = 1000;  // nanoseconds: what is below counts as no wait

}  // namespace

// Bucket 0: below a microsecond.
std::size_t WaitHistogram::bucketOf(Duration wait) {
  const double value = static_cast<double>(wait.count()) / kUnit;
  if (value < 1) return 0;
  const double position = std::log2(value) * kPerOctave;
  return std::min(static_cast<std::size_t>(position) + 1, kPerOctave * kOctaves);
}

Duration WaitHistogram::upperEnd(std::size_t bucket) {
  if (bucket == 0) return Duration::zero();
  return Duration(std::llround(kUnit * std::exp2(static_cast<double>(bucket) / kPerOctave)));
}

void WaitHistogram::add(Duration wait, double weight) {
  buckets_[bucketOf(wait)] += weight;
  count_ += weight;
  seconds_ += toSeconds(wait) * weight;
}

Duration WaitHistogram::mean() const {
  return count_ == 0 ? Duration::zero() : fromSeconds(seconds_ / count_);
}

Duration WaitHistogram::quantile(double share) const {
  double left = share * count_;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    left -= buckets_[i];
    if (left <= 0 && buckets_[i] > 0) return upperEnd(i);
  }
  return Duration::zero();
}

double WaitHistogram::shareUpTo(Duration wait) const {
  if (count_ == 0) return 1;
  double sum = 0;
  const std::size_t last = bucketOf(wait);
  for (std::size_t i = 0; i <= last; ++i) sum += buckets_[i];
  return sum / count_;
}

}  // namespace okibi::sim
