#include "ledger/fold.h"

#include <map>
#include <tuple>

namespace okibi::ledger {
namespace {

using Key = std::tuple<FunctionRef, std::chrono::sys_days, std::string, UnitPrice>;
using Sums = std::map<Key, Usage>;

std::chrono::sys_days dayOf(WallTime time) {
  return std::chrono::floor<std::chrono::days>(time);
}

void add(Sums& sums, const IntervalRecord& record, const PriceBook& prices) {
  const std::string& type = record.terms.gpuType;
  const UnitPrice price = type.empty() ? UnitPrice{} : prices.gpuPrice(type);
  sums[{record.terms.function, dayOf(record.started), type, price}] += record.usage;
}

void add(Sums& sums, const InvocationRecord& record) {
  Usage usage;
  if (record.place.instance.empty()) {
    usage.refused = 1;
  } else {
    usage.calls = 1;
    usage.errors = record.outcome == Outcome::Success ? 0 : 1;
    usage.coldCalls = record.start == StartKind::Cold ? 1 : 0;
  }
  sums[{record.function, dayOf(record.received), std::string(), UnitPrice{}}] += usage;
}

}  // namespace

std::vector<UsageLine> fold(const Records& records, const PriceBook& prices) {
  Sums sums;
  for (const Record& record : records) {
    if (const auto* interval = std::get_if<IntervalRecord>(&record)) add(sums, *interval, prices);
    if (const auto* call = std::get_if<InvocationRecord>(&record)) add(sums, *call);
  }
  std::vector<UsageLine> lines;
  lines.reserve(sums.size());
  for (auto& [key, usage] : sums) {
    const auto& [function, day, gpuType, price] = key;
    lines.push_back({function, day, gpuType, price, usage});
  }
  return lines;
}

}  // namespace okibi::ledger
