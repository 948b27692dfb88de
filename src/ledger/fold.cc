#include "ledger/fold.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace okibi::ledger {
namespace {

using Key = std::tuple<FunctionRef, std::chrono::sys_days, std::string, UnitPrice>;
struct Sum {
  Usage usage;
  std::optional<WallTime> firstUse;

  void add(const Usage& more, WallTime began) {
    usage += more;
    firstUse = firstUse ? std::min(*firstUse, began) : began;
  }
};
using Sums = std::map<Key, Sum>;

std::chrono::sys_days dayOf(WallTime time) {
  return std::chrono::floor<std::chrono::days>(time);
}

void add(Sums& sums, const IntervalRecord& record, const PriceBook& prices) {
  const std::string& type = record.terms.gpuType;
  const UnitPrice price =
      type.empty() ? UnitPrice{} : record.terms.gpuPrice.value_or(prices.gpuPrice(type));
  sums[{record.terms.function, dayOf(record.started), type, price}].add(record.usage,
                                                                        record.started);
}

// Idle time stands in a line of its own price.
void add(Sums& sums, const IdleRecord& record) {
  const std::string& type = record.terms.gpuType;
  const UnitPrice price = type.empty() ? UnitPrice{} : record.gpuPrice;
  sums[{record.terms.function, dayOf(record.started), type, price}].add(
      usageOfIdle(record.terms, record.idle), record.started);
}

void add(Sums& sums, const InvocationRecord& record) {
  Sum& sum = sums[{record.function, dayOf(record.received), std::string(), UnitPrice{}}];
  if (record.place.instance.empty()) {
    ++sum.usage.refused;
    return;
  }
  Usage usage;
  usage.calls = 1;
  usage.errors = record.outcome == Outcome::Success ? 0 : 1;
  usage.coldCalls = record.start == StartKind::Cold ? 1 : 0;
  sum.add(usage, record.received);
}

}  // namespace

std::vector<UsageLine> fold(const Records& records, const PriceBook& prices) {
  Sums sums;
  for (const Record& record : records) {
    if (const auto* interval = std::get_if<IntervalRecord>(&record)) add(sums, *interval, prices);
    if (const auto* idle = std::get_if<IdleRecord>(&record)) add(sums, *idle);
    if (const auto* call = std::get_if<InvocationRecord>(&record)) add(sums, *call);
  }
  std::vector<UsageLine> lines;
  lines.reserve(sums.size());
  for (auto& [key, sum] : sums) {
    const auto& [function, day, gpuType, price] = key;
    lines.push_back({function, day, gpuType, price, sum.usage, sum.firstUse});
  }
  return lines;
}

}  // namespace okibi::ledger
