// What-if on histories whose answers are known, and the rules that hold on any history.

#include "sim/what_if.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "sim/recorded_workload.h"

namespace okibi::sim {
namespace {

const WallTime kStart{std::chrono::sys_days(std::chrono::year(2026) / 11 / 24)};

ledger::HistoryEntry request(Duration at, Duration service, Duration start = {}) {
  ledger::HistoryEntry entry;
  entry.received = kStart + std::chrono::floor<std::chrono::milliseconds>(at);
  entry.service = service;
  entry.startTook = start;
  entry.start = start > Duration::zero() ? ledger::StartKind::Cold : ledger::StartKind::Warm;
  entry.concurrency = 1;
  entry.slice = Bytes::gib(8);
  return entry;
}

Recording recordingOf(std::vector<ledger::HistoryEntry> requests, Duration span) {
  Recording recording;
  recording.requests = std::move(requests);
  recording.until = kStart + std::chrono::floor<std::chrono::milliseconds>(span);
  recording.terms.gpuType = "fc.gpu.tesla.1";
  recording.terms.gpuMemory = Bytes::gib(8);
  recording.terms.memory = Bytes::gib(4);
  recording.terms.cpu = MilliCpu{1000};
  recording.mostInstances = 30;
  recording.queueDeadline = 60s;
  return recording;
}

// Requests at random times, with bursts; starts take 5 to 9 s.
Recording drawn(std::uint64_t seed, int count, Duration span) {
  Random random(seed);
  std::vector<ledger::HistoryEntry> requests;
  while (static_cast<int>(requests.size()) < count) {
    const Duration at(random.between(0, span.count()));
    const std::int64_t together = random.chance(0.2) ? random.between(2, 12) : 1;
    for (std::int64_t i = 0; i < together; ++i) {
      requests.push_back(request(at + i * 40ms, 1ms * random.between(100, 4000),
                                 random.chance(0.1) ? 1ms * random.between(5000, 9000) : 0ms));
    }
  }
  return recordingOf(std::move(requests), span);
}

WhatIfRow run(const Recording& recording, const WhatIfSetting& setting) {
  Result<WhatIfRow> row = whatIf(recording, setting);
  EXPECT_TRUE(row) << row.error().message;
  return std::move(*row);
}

WhatIfSetting setting(int concurrency, Duration idle, int minimum = 0) {
  return {.concurrency = concurrency, .idle = idle, .slice = Bytes::gib(8), .minimum = minimum};
}

TEST(WhatIf, CountsAndBillsAHandMadeHour) {
  // A call each 100 s that takes 1.5 s; a start takes 4 s, its last 2 s an initializer.
  std::vector<ledger::HistoryEntry> requests;
  for (int i = 0; i < 36; ++i) requests.push_back(request(i * 100s, 1500ms));
  requests[0].startTook = 4s;
  requests[0].startInit = 2s;
  const Recording recording = recordingOf(requests, 1h);

  const WhatIfRow kept = run(recording, setting(1, 2min));
  EXPECT_EQ(kept.starts, 1u);
  EXPECT_EQ(kept.waitAt(1), 4s);
  EXPECT_EQ(kept.waitAt(0.5), 0s);
  // The first interval is the initializer and its request, 3.5 s; the others 1.5 s.
  EXPECT_EQ(kept.usage.gpuMs, 4000 + 35 * 2000);
  EXPECT_EQ(kept.usage.gpuMbMs, kept.usage.gpuMs * 8192);
  EXPECT_EQ(kept.usage.activeMs, 3500 + 35 * 1500);
  EXPECT_EQ(kept.usage.calls, 36);
  EXPECT_EQ(kept.cost, recording.prices.priceOf(kept.usage, recording.prices.gpuGbSecond));
  EXPECT_NEAR(kept.tally.gbIn(Use::Idle), (3600 - 4 - 36 * 1.5) * 8, 1);

  const WhatIfRow released = run(recording, setting(1, 30s));
  EXPECT_EQ(released.starts, 36u);
  EXPECT_EQ(released.usage.gpuMs, 36 * 4000);
  EXPECT_EQ(released.waitAt(0.5), 4s);
  EXPECT_GT(released.cost, kept.cost) << "the initializer is paid for each time";
  EXPECT_LT(released.tally.gbIn(Use::Idle), kept.tally.gbIn(Use::Idle));
}

TEST(WhatIf, AKeptInstanceIsThereFromTheBeginningAndIsBilledWhileItIdles) {
  std::vector<ledger::HistoryEntry> requests;
  for (int i = 0; i < 12; ++i) requests.push_back(request(i * 300s, 1s, 5s));
  Recording recording = recordingOf(requests, 1h);
  const WhatIfRow running = run(recording, setting(1, 60s, 1));
  EXPECT_EQ(running.starts, 0u);
  EXPECT_EQ(running.waitAt(1), 0s);
  EXPECT_EQ(running.usage.gpuMs, 3'600'000);
  recording.keptRunning = false;
  const WhatIfRow frozen = run(recording, setting(1, 60s, 1));
  EXPECT_EQ(frozen.starts, 0u);
  EXPECT_EQ(frozen.usage.gpuMs, 12'000);
  EXPECT_EQ(frozen.usage.idleMs, 3'600'000 - 12'000);
  EXPECT_LT(frozen.cost, running.cost);
}

// How long a start takes is known from the kept one, so that who finds it busy may wait in line.
TEST(WhatIf, ShortRequestsWaitForAKeptInstanceRatherThanForAStart) {
  std::vector<ledger::HistoryEntry> requests;
  for (int i = 0; i < 12; ++i) {
    requests.push_back(request(i * 300s, 1s, 5s));
    if (i >= 3) requests.push_back(request(i * 300s + 400ms, 1s));
  }
  const WhatIfRow row = run(recordingOf(requests, 1h), setting(1, 60s, 1));
  EXPECT_EQ(row.tally.starts, 1);
  EXPECT_EQ(row.waitAt(1), 600ms);
  EXPECT_EQ(row.usage.gpuMs, 3'600'000);
  EXPECT_NEAR(row.tally.gbIn(Use::Starting), 0, 1e-9) << "it started before the hour";
}

TEST(WhatIf, InstancesTakeTurnsOnACardWhereTheDaemonMakesThem) {
  std::vector<ledger::HistoryEntry> requests;
  for (int i = 0; i < 20; ++i) requests.push_back(request(i / 2 * 100s, 4s, 1s));
  Recording recording = recordingOf(requests, 20min);
  recording.cards = {Bytes::gib(16)};
  const WhatIfRow shared = run(recording, setting(1, 5min));
  recording.cardTurns = 1;
  const WhatIfRow inTurn = run(recording, setting(1, 5min));
  EXPECT_EQ(shared.waitAt(1), 1s);
  EXPECT_EQ(inTurn.waitAt(1), 5s) << "a start, then its neighbour's request";
}

// Function Compute's rule: the more requests an instance serves at once, the fewer meet a start.
TEST(WhatIf, ColdStartProbabilityFallsAsConcurrencyRises) {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    const Recording recording = drawn(seed, 400, 6h);
    std::vector<double> cold;
    for (int concurrency : {1, 2, 4, 8, 16}) {
      cold.push_back(run(recording, setting(concurrency, 2min)).coldProbability());
    }
    for (std::size_t i = 1; i < cold.size(); ++i) {
      EXPECT_LE(cold[i], cold[i - 1]) << "seed " << seed << " step " << i;
    }
    // With one at a time too, who can be served sooner by waiting in line starts nothing.
    EXPECT_LT(cold.back(), 0.7 * cold.front()) << "seed " << seed;
  }
}

TEST(WhatIf, LongerIdleTimesMeanFewerColdStartsAndMoreIdleMemory) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    const Recording recording = drawn(seed, 300, 6h);
    const WhatIfRow one = run(recording, setting(1, 60s)), ten = run(recording, setting(1, 10min));
    EXPECT_LT(ten.starts, one.starts);
    EXPECT_GT(ten.tally.gbIn(Use::Idle), one.tally.gbIn(Use::Idle));
  }
}

TEST(WhatIf, ASliceChangesWhatMemoryCostsAndWhatFits) {
  Recording recording = drawn(3, 300, 2h);
  WhatIfSetting four = setting(1, 60s), sixteen = four;
  four.slice = Bytes::gib(4);
  sixteen.slice = Bytes::gib(16);
  const WhatIfRow small = run(recording, four), large = run(recording, sixteen);
  EXPECT_EQ(small.starts, large.starts);
  EXPECT_EQ(small.usage.gpuMbMs * 4, large.usage.gpuMbMs);
  recording.cards = {Bytes::gib(16)};
  const WhatIfRow crowded = run(recording, sixteen);
  EXPECT_EQ(crowded.tally.peak, 1) << "one slice of it fits the card";
  EXPECT_GT(crowded.waitAt(0.99), large.waitAt(0.99));
}

TEST(WhatIf, ServiceTimesFollowASliceOnlyWhereBothWereMeasured) {
  std::vector<ledger::HistoryEntry> requests;
  for (int i = 0; i < 60; ++i) {
    requests.push_back(request(i * 10s, i % 2 == 0 ? 4s : 1s, 1s));
    requests.back().slice = i % 2 == 0 ? Bytes::gib(4) : Bytes::gib(16);
  }
  const ServiceScale scale(requests);
  EXPECT_DOUBLE_EQ(scale.factor(Bytes::gib(4), Bytes::gib(16)), 0.25);
  EXPECT_DOUBLE_EQ(scale.factor(Bytes::gib(4), Bytes::gib(8)), 1);
  const Recording recording = recordingOf(requests, 10min);
  WhatIfSetting large = setting(1, 60s);
  large.slice = Bytes::gib(16);
  EXPECT_EQ(run(recording, large).usage.activeMs, 60'000);
}

TEST(WhatIf, WhatWasTurnedAwayIsPlayedWithTheTimeOfAServedOne) {
  std::vector<ledger::HistoryEntry> requests;
  for (int i = 0; i < 40; ++i) requests.push_back(request(i * 1ms, 10s, 2s));
  for (std::size_t i = 20; i < 40; ++i) {
    requests[i] = request(requests[i].received - kStart, 0s);
    requests[i].fate = ledger::HistoryEntry::Fate::TurnedAway;
  }
  Recording recording = recordingOf(requests, 10min);
  const WhatIfRow many = run(recording, setting(20, 60s));
  EXPECT_EQ(many.refused, 0u);
  EXPECT_EQ(many.usage.calls, 40);
  recording.mostInstances = 1;
  recording.queueDeadline = 5s;
  const WhatIfRow few = run(recording, setting(1, 60s));
  EXPECT_EQ(few.refused, 39u);
  EXPECT_FALSE(few.meets(1h)) << "who was refused did not wait in time";
}

TEST(WhatIf, TheCheapestMeetsTheBoundAndNoneIsSaidToBeNone) {
  const Recording recording = drawn(5, 300, 2h);
  std::vector<WhatIfRow> rows;
  for (int minimum : {0, 1}) rows.push_back(run(recording, setting(4, 60s, minimum)));
  ASSERT_LT(rows[0].cost, rows[1].cost);
  EXPECT_EQ(cheapest(rows, 60s), 0u);
  EXPECT_EQ(cheapest(rows, -1s), 2u);
  ASSERT_LT(rows[1].waitAt(0.99), rows[0].waitAt(0.99));
  EXPECT_EQ(cheapest(rows, rows[1].waitAt(0.99)), 1u);
}

TEST(WhatIf, RepeatsAndNeedsEnough) {
  const Recording recording = drawn(9, 200, 2h);
  const WhatIfRow a = run(recording, setting(2, 60s)), b = run(recording, setting(2, 60s));
  EXPECT_EQ(a.waits, b.waits);
  EXPECT_EQ(a.usage, b.usage);
  EXPECT_TRUE(checkEnough(factsOf(recording)));
  const auto few = checkEnough(factsOf(recordingOf({request(0s, 1s, 1s)}, 1min)));
  EXPECT_EQ(few.error().code, "TooLittleHistory");
  std::vector<ledger::HistoryEntry> warm(20, request(0s, 1s));
  EXPECT_FALSE(checkEnough(factsOf(recordingOf(warm, 1min))));
}

}  // namespace
}  // namespace okibi::sim
