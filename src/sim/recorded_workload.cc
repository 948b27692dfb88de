#include "sim/recorded_workload.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/random.h"

namespace okibi::sim {
namespace {

using Fate = ledger::HistoryEntry::Fate;

const auto& oneOf(const auto& list, Random& random) {
  return list[static_cast<std::size_t>(
      random.between(0, static_cast<std::int64_t>(list.size()) - 1))];
}

}  // namespace

ServiceScale::ServiceScale(const std::vector<ledger::HistoryEntry>& requests) {
  std::map<Bytes, std::vector<Duration>> bySlice;
  for (const ledger::HistoryEntry& one : requests) {
    if (one.fate == Fate::Served) bySlice[one.slice].push_back(one.service);
  }
  for (auto& [slice, times] : bySlice) {
    if (times.size() < kEnough) continue;
    const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
    std::ranges::nth_element(times, middle);
    if (*middle > Duration::zero()) medians_[slice] = *middle;
  }
}

double ServiceScale::factor(Bytes from, Bytes to) const {
  const auto a = medians_.find(from), b = medians_.find(to);
  if (a == medians_.end() || b == medians_.end()) return 1;
  return static_cast<double>(b->second.count()) / static_cast<double>(a->second.count());
}

RecordedWorkload::RecordedWorkload(const Recording& recording, Bytes slice, Bytes booked) {
  std::vector<const ledger::HistoryEntry*> order, served, starts;
  for (const ledger::HistoryEntry& one : recording.requests) {
    order.push_back(&one);
    if (one.fate != Fate::Served) continue;
    served.push_back(&one);
    if (one.startTook > Duration::zero()) starts.push_back(&one);
  }
  OKIBI_CHECK(!served.empty());
  // Of the same millisecond: as they were given.
  std::ranges::sort(order, {}, [](const auto* one) { return std::pair(one->received, one); });
  const ServiceScale scale(recording.requests);
  Random random(recording.seed);
  for (const ledger::HistoryEntry* one : order) {
    const ledger::HistoryEntry& timed = one->fate == Fate::Served ? *one : *oneOf(served, random);
    Request request;
    request.at = Instant(one->received - order.front()->received);
    request.service = Duration(std::llround(static_cast<double>(timed.service.count()) *
                                            scale.factor(timed.slice, slice)));
    request.cold = Duration::zero();
    if (!starts.empty()) {
      const ledger::HistoryEntry& start = *oneOf(starts, random);
      request.cold = start.startTook;
      request.init = std::min(start.startInit, start.startTook);
    }
    requests_.push_back(request);
  }
  functions_.push_back({recording.terms.function.name, booked, 1});
  horizon_ = std::max<Duration>(recording.until - order.front()->received,
                                requests_.back().at.time_since_epoch());
}

Result<bool> RecordedWorkload::next(Request& request) {
  if (at_ == requests_.size()) return false;
  request = requests_[at_++];
  return true;
}

}  // namespace okibi::sim
