#pragma once
// Folding: records -> sums per function, day, card type and price. Pure; the store adds the sums
// and the new log position in one transaction, which makes each record count exactly once.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ledger/price_book.h"
#include "ledger/record.h"
#include "ledger/usage.h"

namespace okibi::ledger {

// Sums that one price applies to. The day is the UTC day an interval or a request began.
struct UsageLine {
  FunctionRef function;
  std::chrono::sys_days day{};
  std::string gpuType;  // empty: calls, and time of instances without GPU
  UnitPrice gpuPrice;   // under which it was used; later changes price later usage
  Usage usage;
  std::optional<WallTime> firstUse;  // when the earliest of it began; refusals are no use
};

// Sums of the records, ordered by (function, day, gpuType, price). DurableMarks, heartbeats and
// instance records add nothing.
std::vector<UsageLine> fold(const Records& records, const PriceBook& prices);

}  // namespace okibi::ledger
