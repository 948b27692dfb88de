#include "planner/burst_model.h"

#include <algorithm>
#include <cmath>

#include "planner/signs.h"

namespace okibi::planner {
namespace {

constexpr float kRate = 0.15F, kFirstSlope = 1;
constexpr double kUsually = -3;       // logarithm of the odds before anything is known
constexpr float kForget = 1.0F / 64;  // of a rate, with each request

// Sizes of the signs: doublings from a start on.
constexpr std::size_t kSince = 14, kFew = 10, kMany = 11, kGap = 11, kRates = 12, kOpen = 7;
constexpr std::array<std::size_t, BurstModel::kTables> kSizes{
    kSince, kFew* kFew, kFew* kMany, kMany* kMany, 24, kRates* kFew, kGap, kFew* kFew, kOpen,
};
constexpr std::size_t kCells = [] {
  std::size_t sum = 0;
  for (std::size_t size : kSizes) sum += size * BurstModel::kLevels;
  return sum;
}();
static_assert(kCells * BurstModel::kSteps < 65536);

// Half doublings of the share, from 1 in 64 on.
std::size_t rateOf(const BurstModel::Rate& rate) {
  const double share = (rate.came + 0.3) / (rate.seen + 3);
  return static_cast<std::size_t>(std::clamp(2 * std::log2(share * 64) + 1, 0.0, kRates - 1.0));
}

}  // namespace

void BurstModel::Rate::count(bool more) {
  seen += 1 - seen * kForget;
  came += (more ? 1.0F : 0.0F) - came * kForget;
}

BurstModel::BurstModel() : cells_(kCells * kSteps) {}

BurstModel::Signs BurstModel::read(const Sight& sight) {
  const auto &more = sight.more.counts, &own = sight.atLeast.counts;
  const auto few = [](double count) { return doublings(count, 0.05, kFew); };
  const std::array<std::size_t, kTables> indices{
      doublings(sight.more.since, 30, kSince),
      few(more[0]) * kFew + few(more[2]),
      few(more[1]) * kMany + doublings(more[3], 0.05, kMany),
      doublings(own[3], 0.5, kMany) * kMany + doublings(more[3], 0.05, kMany),
      static_cast<std::size_t>(hourOfDay(sight.more.now)),
      rateOf(sight.rate) * kFew + doublings(sight.rate.seen, 1, kFew),
      doublings(sight.gap, 2, kGap),
      doublings(own[1], 0.5, kFew) * kFew + few(more[1]),
      doublings(static_cast<double>(sight.open), 1, kOpen),
  };
  const std::size_t level = std::clamp<std::size_t>(sight.level, 1, kLevels) - 1;
  Signs signs;
  std::size_t offset = 0;
  for (std::size_t i = 0; i < kTables; ++i) {
    signs[i] = static_cast<std::uint16_t>((offset + level * kSizes[i] + indices[i]) * kSteps);
    offset += kSizes[i] * kLevels;
  }
  return signs;
}

double BurstModel::chance(const Signs& signs, std::size_t step) const {
  double sum = kUsually;
  for (std::uint16_t cell : signs) sum += cells_[cell + step].value;
  return 1 / (1 + std::exp(-sum));
}

BurstModel::Course BurstModel::course(const Signs& signs) const {
  Course course{};
  double left = 1;
  for (std::size_t i = 0; i < kSteps; ++i) {
    course[i] = left * chance(signs, i);
    left -= course[i];
  }
  return course;
}

void BurstModel::learn(const Signs& signs, std::size_t step, bool wanted) {
  const auto error = static_cast<float>(chance(signs, step) - (wanted ? 1 : 0));
  for (std::uint16_t cell : signs) {
    Weight& weight = cells_[cell + step];
    weight.slope += error * error;
    weight.value -= kRate * error / std::sqrt(kFirstSlope + weight.slope);
  }
}

}  // namespace okibi::planner
