#pragma once
// What is kept of each request so that `okibi whatif` can play it again, far longer than its whole
// record. Pure.

#include <optional>

#include "ledger/record.h"

namespace okibi::ledger {

struct HistoryEntry {
  WallTime received{};
  Duration waited{};   // until it was given to an instance, or turned away
  Duration service{};  // on its instance; zero: turned away
  StartKind start = StartKind::Warm;
  // TurnedAway: no capacity in time, or the caller did not wait for it.
  enum class Fate : std::uint8_t { Served = 0, TurnedAway = 1 } fate = Fate::Served;
  Duration startTook{}, startInit{};  // as in InvocationRecord
  int concurrency = 0;                // of its instance; 0: not known
  Bytes slice;
  bool operator==(const HistoryEntry&) const = default;
};

// nullopt: it says nothing about load or speed, as when the function could not be started.
std::optional<HistoryEntry> historyOf(const InvocationRecord& record);

}  // namespace okibi::ledger
