#include "sim/what_if.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <string>

#include <fmt/format.h>

#include "base/limits.h"
#include "ledger/fold.h"
#include "ledger/usage_meter.h"
#include "model/gpu_spec.h"
#include "sim/recorded_workload.h"
#include "sim/world.h"

namespace okibi::sim {
namespace {

using Fate = ledger::HistoryEntry::Fate;

// The ledger beside a simulated world: what the conductor tells the meter, in the same order.
class Ledger : public Witness {
 public:
  // Nothing before `begin` is billed.
  Ledger(const Recording& recording, const WhatIfSetting& setting, Instant begin)
      : prices_(recording.prices),
        terms_(recording.terms),
        keptRunning_(recording.keptRunning),
        begin_(begin) {
    if (!terms_.gpuType.empty()) {
      terms_.gpuMemory = setting.slice;
      terms_.gpuPrice = prices_.gpuPrice(terms_.gpuType);
    }
  }

  void opened(InstanceId instance, Instant now) override {
    terms_.instance = nameOf(instance);
    meter_.openInstance(terms_, at(now), records_);
  }
  void initializing(InstanceId instance, Instant now) override {
    hooks_[instance].initializer = beginHook(instance, now);
  }
  // A kept instance that idles running is active from its start to its end; one that rests is idle.
  void ready(InstanceId instance, Kept kept, Instant now) override {
    Hooks& hooks = hooks_[instance];
    if (kept == Kept::Yes && keptRunning_) hooks.keeping = beginHook(instance, now);
    if (kept == Kept::Yes && !keptRunning_) {
      const ledger::UnitPrice idle = prices_.gpuIdlePrice(terms_.gpuType);
      meter_.keepIdle(nameOf(instance), true, idle, at(now), records_);
    }
    endHook(hooks.initializer, now);
  }
  void began(InvocationId request, InstanceId instance, Duration waited, Instant now) override {
    uses_[request] = meter_.begin(nameOf(instance), ledger::UseKind::Request, at(now));
    waits.push_back(waited);
  }
  void ended(InvocationId request, Instant now) override {
    const auto found = uses_.find(request);
    meter_.endRequest(found->second, {}, at(now), records_);
    uses_.erase(found);
    if (records_.size() >= kBatch) addUp();
  }
  void closed(InstanceId instance, Instant now) override {
    endHooks(instance, now);
    meter_.closeInstance(nameOf(instance), {}, at(now), records_);
    hooks_.erase(instance);
  }

  // What is still kept is billed up to here.
  void finish(Instant horizon) {
    const Instant now = std::max(horizon, last_);
    for (auto& [instance, hooks] : hooks_) endHooks(instance, now);
    meter_.billIdle(at(now), Duration::zero(), records_);
    addUp();
  }

  ledger::Usage usage;
  std::vector<Duration> waits;
  Money cost() const {
    Money sum;
    for (const auto& [price, used] : byPrice_) sum += prices_.priceOf(used, price);
    return sum;
  }

 private:
  static constexpr std::size_t kBatch = 1024;
  struct Hooks {
    ledger::UseId initializer, keeping;
  };

  static std::string nameOf(InstanceId instance) { return std::to_string(instance.value()); }
  ledger::Moment at(Instant now) {
    last_ = std::max(now, begin_);
    return {last_, {}};
  }
  ledger::UseId beginHook(InstanceId instance, Instant now) {
    return meter_.begin(nameOf(instance), ledger::UseKind::Hook, at(now));
  }
  void endHook(ledger::UseId& use, Instant now) {
    if (use.valid()) meter_.endHook(std::exchange(use, {}), at(now), records_);
  }
  void endHooks(InstanceId instance, Instant now) {
    const auto found = hooks_.find(instance);
    if (found == hooks_.end()) return;
    endHook(found->second.initializer, now);
    endHook(found->second.keeping, now);
  }
  void addUp() {
    for (const ledger::UsageLine& line : ledger::fold(records_, prices_)) {
      usage += line.usage;
      byPrice_[line.gpuPrice] += line.usage;
    }
    records_.clear();
  }

  const ledger::PriceBook prices_;
  ledger::InstanceTerms terms_;
  const bool keptRunning_;
  const Instant begin_;
  ledger::UsageMeter meter_;
  ledger::Records records_;
  Instant last_{};
  std::map<ledger::UnitPrice, ledger::Usage> byPrice_;
  std::map<InstanceId, Hooks> hooks_;
  std::map<InvocationId, ledger::UseId> uses_;
};

// What the planner books: for all that a type has on paper a whole card.
Bytes bookedSlice(const Recording& recording, Bytes slice) {
  std::vector<Card> cards;
  for (const Bytes memory : recording.cards) {
    cards.push_back({CardId(), {}, recording.terms.gpuType, memory, CardOrigin::Simulated});
  }
  return cards.empty() ? slice : sliceOf({recording.terms.gpuType, slice}, cards);
}

WorldOptions worldFor(const Recording& recording, const WhatIfSetting& setting) {
  WorldOptions options;
  const std::string& type = recording.terms.gpuType;
  for (const Bytes card : recording.cards) options.fleet.cards.push_back({1, type, card});
  options.policy.kind = setting.keepAlive;
  options.policy.idleTimeout = setting.idle;
  options.concurrency = setting.concurrency;
  options.deadline = recording.queueDeadline;
  options.cardQuota = std::max(1, recording.mostInstances);
  options.startBurst = recording.startBurst;
  options.startGrowth = recording.startGrowth;
  options.queue = limits::kQueuePerFunction;
  options.cardTurns = recording.cardTurns;
  options.minimum = setting.minimum;
  options.seed = recording.seed;
  return options;
}

}  // namespace

double WhatIfRow::coldProbability() const {
  return requests == 0 ? 0 : static_cast<double>(starts) / static_cast<double>(requests);
}

double WhatIfRow::coldWaiterShare() const {
  return requests == 0 ? 0 : static_cast<double>(coldWaiters) / static_cast<double>(requests);
}

Duration WhatIfRow::waitAt(double share) const {
  if (waits.empty()) return Duration::zero();
  const auto rank =
      static_cast<std::size_t>(std::ceil(share * static_cast<double>(waits.size()) - 1e-9));
  return waits[std::clamp<std::size_t>(rank, 1, waits.size()) - 1];
}

bool WhatIfRow::meets(Duration p99) const {
  const auto inTime = std::ranges::upper_bound(waits, p99) - waits.begin();
  return static_cast<double>(inTime) >= 0.99 * static_cast<double>(requests);
}

RecordingFacts factsOf(const Recording& recording) {
  RecordingFacts facts;
  std::set<Bytes> slices;
  std::set<int> concurrences;
  Duration starts{}, services{};
  WallTime first = WallTime::max();
  for (const ledger::HistoryEntry& one : recording.requests) {
    ++facts.requests;
    first = std::min(first, one.received);
    if (one.fate == Fate::TurnedAway) {
      ++facts.turnedAway;
      continue;
    }
    ++facts.served;
    services += one.service;
    if (one.slice > Bytes()) slices.insert(one.slice);
    if (one.concurrency > 0) concurrences.insert(one.concurrency);
    if (one.startTook == Duration::zero()) continue;
    ++facts.starts;
    starts += one.startTook;
  }
  if (facts.requests > 0) facts.span = std::max<Duration>(recording.until - first, {});
  if (facts.served > 0) facts.meanService = services / static_cast<std::int64_t>(facts.served);
  if (facts.starts > 0) facts.meanStart = starts / static_cast<std::int64_t>(facts.starts);
  facts.slices.assign(slices.begin(), slices.end());
  facts.concurrences.assign(concurrences.begin(), concurrences.end());
  return facts;
}

Result<void> checkEnough(const RecordingFacts& facts) {
  if (facts.served < kLeastRequests) {
    return fail(ErrorKind::NotFound,
                fmt::format("{} served requests are recorded in this time; at least {} are needed "
                            "to say anything",
                            facts.served, kLeastRequests),
                "TooLittleHistory");
  }
  if (facts.starts == 0) {
    return fail(ErrorKind::NotFound,
                "no start of an instance is recorded in this time, so nobody knows how long a cold "
                "start takes",
                "TooLittleHistory");
  }
  return {};
}

Result<WhatIfRow> whatIf(const Recording& recording, const WhatIfSetting& setting) {
  const bool onCard = !recording.terms.gpuType.empty();
  // A CPU function is bounded by its instances alone: any slice of an endless card will do.
  const Bytes booked = onCard ? bookedSlice(recording, setting.slice) : Bytes::gib(1);
  RecordedWorkload workload(recording, setting.slice, booked);
  WorldOptions options = worldFor(recording, setting);
  // What is kept was there before: its start teaches the planner how long one takes, no more.
  if (setting.minimum > 0) options.lead = workload.firstStart();
  const Instant begin(options.lead);
  Ledger ledger(recording, setting, begin);
  options.witness = &ledger;
  Result<Tally> tally = simulate(options, workload);
  if (!tally) return fail(tally.error());
  ledger.finish(begin + workload.horizon());
  WhatIfRow row;
  row.setting = setting;
  row.requests = static_cast<std::size_t>(tally->requests);
  row.starts = static_cast<std::size_t>(
      std::max<std::int64_t>(0, tally->starts - tally->startsAhead - setting.minimum));
  row.coldWaiters = static_cast<std::size_t>(tally->cold);
  row.refused = static_cast<std::size_t>(tally->refused);
  row.waits = std::move(ledger.waits);
  std::ranges::sort(row.waits);
  row.usage = ledger.usage;
  row.cost = ledger.cost();
  row.tally = std::move(*tally);
  return row;
}

std::size_t cheapest(const std::vector<WhatIfRow>& rows, Duration p99) {
  std::size_t best = rows.size();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (!rows[i].meets(p99)) continue;
    const auto key = [&](std::size_t at) {
      return std::pair(rows[at].cost, rows[at].waitAt(0.99));
    };
    if (best == rows.size() || key(i) < key(best)) best = i;
  }
  return best;
}

}  // namespace okibi::sim
