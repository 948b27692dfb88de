#include "cli/concurrency.h"

#include <algorithm>
#include <set>

namespace okibi::cli {

std::vector<ConcurrencyShare> coldByConcurrency(std::span<const CallTimes> calls) {
  std::vector<ConcurrencyShare> groups{{1, 1}, {2, 4}, {5, 9}, {10, 29}, {30, 0}};
  std::vector<CallTimes> inOrder(calls.begin(), calls.end());
  std::ranges::sort(inOrder, {}, &CallTimes::received);
  std::multiset<WallTime> ends;  // of the calls under way
  for (const CallTimes& call : inOrder) {
    ends.erase(ends.begin(), ends.upper_bound(call.received));
    ends.insert(call.received + std::chrono::duration_cast<WallTime::duration>(call.total));
    const int underWay = static_cast<int>(ends.size());
    auto group = std::ranges::find_if(
        groups, [&](const ConcurrencyShare& g) { return g.to == 0 || underWay <= g.to; });
    ++group->calls;
    if (call.start == CallTimes::Start::Cold) ++group->cold;
  }
  std::erase_if(groups, [](const ConcurrencyShare& g) { return g.calls == 0; });
  return groups;
}

}  // namespace okibi::cli
