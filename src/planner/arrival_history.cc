#include "planner/arrival_history.h"

#include <algorithm>
#include <cmath>

#include "planner/idle_steps.h"
#include "planner/signs.h"

namespace okibi::planner {
namespace {

constexpr double kHoursMemory = 4 * kDay;  // how long the hours of a day are remembered
constexpr double kNever = 1e7;             // seconds

}  // namespace

void ArrivalHistory::count(Instant now, std::optional<std::size_t> level) {
  if (!any_) first_ = hoursAt_ = now;
  any_ = true;
  last_ = now;
  const double passed = toSeconds(now - hoursAt_);
  if (passed > kHour / 2) {
    const auto left = static_cast<float>(std::exp(-passed / kHoursMemory));
    for (float& hour : hours_) hour *= left;
    hoursAt_ = now;
  }
  ++hours_[static_cast<std::size_t>(hourOfDay(now))];
  if (!level) return;
  Level& reached = levels_[std::clamp<std::size_t>(*level, 1, kLevels) - 1];
  const bool before = reached.counts.back() > 0;
  const double gap = toSeconds(now - reached.last);
  for (std::size_t i = 0; i < kMemories; ++i) {
    const double left = before ? reached.counts[i] * std::exp(-gap / kMemory[i]) : 0;
    reached.counts[i] = static_cast<float>(left + 1);
  }
  if (before) reached.between = static_cast<float>(gap);
  reached.last = now;
}

Outlook ArrivalHistory::outlook(Instant now, std::size_t rank) const {
  Outlook outlook{now, std::min(rank, kLevels - 1), kNever, kNever, kNever, {}, {}};
  for (std::size_t i = outlook.rank; i < kLevels; ++i) {
    const Level& level = levels_[i];
    if (level.counts.back() <= 0) continue;
    const double since = toSeconds(now - level.last);
    if (since < outlook.since) {
      outlook.since = since;
      outlook.between = level.between > 0 ? level.between : kNever;
    }
    for (std::size_t m = 0; m < kMemories; ++m) {
      outlook.counts[m] += level.counts[m] * std::exp(-since / kMemory[m]);
    }
  }
  if (!any_) return outlook;
  outlook.sinceAny = toSeconds(now - last_);
  const double days = std::clamp(toSeconds(now - first_) / kDay, 0.3, 4.0);
  for (std::size_t i = 0; i < hours_.size(); ++i) outlook.hours[i] = hours_[i] / days;
  return outlook;
}

}  // namespace okibi::planner
