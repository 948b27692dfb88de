#pragma once
// What if: a function's own recorded requests, played again under other settings, billed as the
// daemon's ledger bills. The planner, the metering and the prices are the daemon's own. Assumed:
// service times are as recorded and grow with nothing but a slice that was measured (ServiceScale);
// a start takes as long as one of the recorded ones, drawn; starts succeed; no other function is on
// the cards; pre-stop hooks cost nothing; callers wait as long as the daemon lets them.

#include <string>
#include <vector>

#include "ledger/history.h"
#include "ledger/price_book.h"
#include "ledger/usage.h"
#include "planner/plan.h"
#include "sim/tally.h"

namespace okibi::sim {

// What was recorded, and what does not change with a setting.
struct Recording {
  std::vector<ledger::HistoryEntry> requests;  // in any order
  WallTime until{};                            // the end of what they cover
  ledger::InstanceTerms terms;                 // gpuType empty: a CPU function; slice: as recorded
  ledger::PriceBook prices;
  std::vector<Bytes> cards;  // memory of each card it can be on; empty: as many as it wants
  int mostInstances = 0;     // by quota and cap; at least 1
  int startBurst = 0, startGrowth = 0, cardTurns = 0;  // as in planner::PlannerConfig
  Duration queueDeadline{};
  bool keptRunning = true;  // kept instances are active while they idle; else they rest
  std::uint64_t seed = 1;   // of the starts that are drawn
};

struct WhatIfSetting {
  int concurrency = 1;
  Duration idle{};  // its idleTimeout
  Bytes slice;      // ignored for a CPU function
  int minimum = 0;
  planner::KeepAlivePolicy keepAlive = planner::KeepAlivePolicy::Fixed;
};

struct WhatIfRow {
  WhatIfSetting setting;
  std::size_t requests = 0, refused = 0;
  std::size_t starts = 0;       // of instances, for requests; kept ones are there already
  std::size_t coldWaiters = 0;  // requests that waited for a start, several for one as may be
  std::vector<Duration> waits;  // of the requests that were served, ascending
  Tally tally;
  ledger::Usage usage;
  Money cost;

  // That a request starts an instance: what falls as instances serve more at once.
  double coldProbability() const;
  double coldWaiterShare() const;
  // Of the requests that were served. `share` in 0..1; zero when none was.
  Duration waitAt(double share) const;
  // That 99% of all requests, the refused among them, waited no longer.
  bool meets(Duration p99) const;
};

// What can be said of the recording itself.
struct RecordingFacts {
  std::size_t requests = 0, served = 0, turnedAway = 0;
  std::size_t starts = 0;  // whose time was recorded
  Duration span{};         // from the first request to `until`
  Duration meanStart{}, meanService{};
  std::vector<Bytes> slices;      // that requests were served on, ascending; none for CPU
  std::vector<int> concurrences;  // under which they were, ascending
};
RecordingFacts factsOf(const Recording& recording);

// NotFound: too little was recorded to say anything (kLeastRequests served, one start).
inline constexpr std::size_t kLeastRequests = 10;
Result<void> checkEnough(const RecordingFacts& facts);

// REQUIRES: checkEnough().
Result<WhatIfRow> whatIf(const Recording& recording, const WhatIfSetting& setting);

// The cheapest of the rows that meet `p99`, and of the equally cheap the one that waits least; its
// index, or the rows' count when none does.
std::size_t cheapest(const std::vector<WhatIfRow>& rows, Duration p99);

}  // namespace okibi::sim
