#pragma once
// Waits, counted in buckets of at most 0.8% width: percentiles in constant memory.

#include <array>
#include <cstdint>

#include "base/units.h"

namespace okibi::sim {

class WaitHistogram {
 public:
  void add(Duration wait, double weight);
  double count() const { return count_; }
  Duration mean() const;
  // The wait that a share of `share` (0..1) of the requests did not exceed.
  Duration quantile(double share) const;
  // Share of the requests that waited no longer, for charts.
  double shareUpTo(Duration wait) const;

 private:
  static constexpr std::size_t kPerOctave = 128, kOctaves = 44;  // from 1 µs to months
  static std::size_t bucketOf(Duration wait);
  static Duration upperEnd(std::size_t bucket);

  std::array<double, kPerOctave * kOctaves + 1> buckets_{};
  double count_ = 0, seconds_ = 0;
};

}  // namespace okibi::sim
