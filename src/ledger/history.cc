#include "ledger/history.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace okibi::ledger {
namespace {

// The codes of a refusal for want of capacity (docs/errors.md).
constexpr std::array<std::string_view, 3> kNoCapacity{"ResourceExhausted", "ResourceThrottled",
                                                      "RequestTimeout"};

}  // namespace

std::optional<HistoryEntry> historyOf(const InvocationRecord& record) {
  HistoryEntry entry;
  entry.received = record.received;
  entry.waited = record.waited;
  if (record.place.instance.empty()) {
    const bool noCapacity = record.outcome == Outcome::Cancelled ||
                            (record.outcome == Outcome::Refused &&
                             std::ranges::find(kNoCapacity, record.errorType) != kNoCapacity.end());
    if (!noCapacity) return std::nullopt;
    entry.fate = HistoryEntry::Fate::TurnedAway;
    return entry;
  }
  entry.service = record.duration;
  entry.start = record.start;
  entry.startTook = record.startTook;
  entry.startInit = record.startInit;
  entry.concurrency = record.concurrency;
  entry.slice = record.gpuMemory;
  return entry;
}

}  // namespace okibi::ledger
