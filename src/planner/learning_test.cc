// What keep-alive is learned from, and the price it is bought at.

#include <cmath>

#include <gtest/gtest.h>

#include "base/random.h"
#include "planner/arrival_history.h"
#include "planner/holding_price.h"
#include "planner/idle_steps.h"
#include "planner/return_model.h"
#include "planner/rhythm.h"

namespace okibi::planner {
namespace {

TEST(IdleSteps, EdgesGrowAndEndAfterMoreThanADay) {
  for (std::size_t i = 1; i <= kIdleSteps; ++i) EXPECT_LT(idleEdge(i - 1), idleEdge(i));
  EXPECT_EQ(idleEdge(0), Duration::zero());
  EXPECT_GT(idleEdge(kIdleSteps), 24h);
}

TEST(ArrivalHistory, EachInLineHasAHistoryOfItsOwn) {
  ArrivalHistory history;
  history.count(Instant(1h), 3);
  history.count(Instant(2h), 1);
  history.count(Instant(2h + 60s), std::nullopt);
  const Outlook first = history.outlook(Instant(2h + 100s), 0);
  const Outlook third = history.outlook(Instant(2h + 100s), 2);
  const Outlook fourth = history.outlook(Instant(2h + 100s), 3);
  EXPECT_EQ(first.since, 100);
  EXPECT_EQ(third.since, 3700);
  EXPECT_GT(fourth.since, 1e6);
  EXPECT_EQ(first.sinceAny, 40);
  EXPECT_GT(first.counts[0], third.counts[0]);
  EXPECT_GT(third.counts[0], 0);
  EXPECT_EQ(fourth.counts[0], 0);
}

TEST(ArrivalHistory, ForgetsAtEachItsOwnPace) {
  ArrivalHistory history;
  for (int i = 0; i < 100; ++i) history.count(Instant(i * 1s), 1);
  const Outlook soon = history.outlook(Instant(100s), 0), late = history.outlook(Instant(25h), 0);
  for (std::size_t i = 0; i < kMemories; ++i) EXPECT_LT(late.counts[i], soon.counts[i]);
  EXPECT_LT(late.counts[0], 1e-9);
  EXPECT_GT(late.counts[kMemories - 1], 70);
  EXPECT_EQ(soon.between, 1);
}

TEST(ArrivalHistory, LevelsBeyondTheLastCountAsTheLast) {
  ArrivalHistory history;
  history.count(Instant(1s), 200);
  EXPECT_EQ(history.outlook(Instant(2s), 500).since, 1);
  EXPECT_EQ(history.outlook(Instant(2s), 0).since, 1);
}

TEST(ReturnModel, ABusyFunctionIsWorthMoreFromTheBeginning) {
  ReturnModel model;
  ArrivalHistory busy, quiet;
  for (int i = 0; i <= 1000; ++i) {
    busy.count(Instant(i * 10s), 1);
    if (i % 500 == 0) quiet.count(Instant(i * 10s), 1);
    model.countArrival(Instant(i * 10s));
  }
  const Instant now(10'000s + 60s);
  for (std::size_t step = 5; step < kIdleSteps; step += 5) {
    EXPECT_GT(model.look(busy.outlook(now, 0), step).worth,
              model.look(quiet.outlook(now, 0), step).worth);
  }
  EXPECT_GT(model.look(busy.outlook(now, 0), 5).worth, model.look(busy.outlook(now, 1), 5).worth);
}

TEST(ReturnModel, LearnsWhatIsAlwaysSo) {
  ReturnModel model;
  ArrivalHistory history;
  history.count(Instant(1s), 1);
  const ReturnModel::Signs early = model.read(history.outlook(Instant(10s), 0), 3);
  const ReturnModel::Signs late = model.read(history.outlook(Instant(1000s), 0), 16);
  for (int i = 0; i < 300; ++i) {
    model.learn(early, true);
    model.learn(late, false);
  }
  EXPECT_GT(model.chance(early), 0.9);
  EXPECT_LT(model.chance(late), 0.1);
}

TEST(ReturnModel, AWorthIsAChancePerSecond) {
  ReturnModel model;
  const ArrivalHistory nothing;
  for (std::size_t step = 1; step < kIdleSteps; ++step) {
    const double worth = model.look(nothing.outlook(Instant(1s), 0), step).worth;
    EXPECT_GT(worth, 0);
    EXPECT_LT(worth, 1.0);
  }
}

// Pauses of `mean`, each up to `spread` of it shorter or longer; every window is judged.
Rhythm rhythmOf(double mean, double spread, int pauses, std::uint64_t seed) {
  Rhythm rhythm;
  Random random(seed);
  for (int i = 0; i < pauses; ++i) {
    const double pause = mean * (1 + spread * (2 * random.fraction() - 1));
    if (const auto window = rhythm.next(0, 0)) {
      rhythm.judge(window->chance, pause < window->from    ? Rhythm::Outcome::Early
                                   : pause < window->until ? Rhythm::Outcome::InTime
                                                           : Rhythm::Outcome::Missed);
    }
    rhythm.learn(pause);
  }
  return rhythm;
}

TEST(Rhythm, ATimerIsAwaitedShortlyBefore) {
  const auto window = rhythmOf(900, 0.01, 30, 1).next(5, 20);
  ASSERT_TRUE(window);
  EXPECT_GT(window->from, 800);
  EXPECT_LT(window->from, 895);
  EXPECT_GT(window->until, 905);
  EXPECT_LT(window->until, 1000);
  EXPECT_GT(window->chance, 0.8);
  EXPECT_GT(window->worth, 1.0 / 150) << "far more than the 1 / 900 of holding it throughout";
}

TEST(Rhythm, NothingIsPromisedBeforeWindowsHaveProvedTrue) {
  const auto first = rhythmOf(900, 0.01, 3, 1).next(0, 20);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->worth, 0);
}

TEST(Rhythm, WhatDoesNotRepeatPromisesNothing) {
  int promising = 0;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Rhythm rhythm;
    Random random(seed);
    for (int i = 0; i < 100; ++i) {
      const double pause = 20 * std::pow(2, 8 * random.fraction());
      const auto window = rhythm.next(0, 0);
      if (window) {
        promising += window->worth > 0 ? 1 : 0;
        rhythm.judge(window->chance, pause < window->from    ? Rhythm::Outcome::Early
                                     : pause < window->until ? Rhythm::Outcome::InTime
                                                             : Rhythm::Outcome::Missed);
      }
      rhythm.learn(pause);
    }
  }
  EXPECT_LT(promising, 50 * 100 / 20);
}

TEST(Rhythm, ATimerThatStopsIsGivenUpSoon) {
  Rhythm rhythm = rhythmOf(600, 0.01, 50, 1);
  ASSERT_GT(rhythm.next(0, 20)->worth, 0);
  int missed = 0;
  while (rhythm.next(0, 20)->worth > 0) {
    rhythm.judge(rhythm.next(0, 20)->chance, Rhythm::Outcome::Missed);
    ASSERT_LT(++missed, 10);
  }
  EXPECT_GE(missed, 2) << "one miss is forgiven";
}

TEST(Rhythm, HoldingUntilTheCallIsWorthLittleWhereNobodyComesEarly) {
  EXPECT_LT(rhythmOf(900, 0.01, 100, 1).worthUntil(5, 850), 1e-5);
  EXPECT_GT(rhythmOf(900, 0.9, 100, 1).worthUntil(5, 850), 1e-4);
}

TEST(Rhythm, NoWindowBeginsBeforeItCouldBeMet) {
  const Rhythm rhythm = rhythmOf(60, 0.01, 30, 1);
  EXPECT_TRUE(rhythm.next(5, 20));
  EXPECT_FALSE(rhythm.next(5, 58)) << "the start takes longer than the pause";
  EXPECT_FALSE(rhythm.next(70, 0)) << "no pause was ever that long";
}

// Idle seconds of random worth; those above the price are held.
double shareHeld(HoldingPrice& price, double rule, int count, std::uint64_t seed) {
  Random random(seed);
  double held = 0;
  for (int i = 0; i < count; ++i) {
    const double worth = 1e-6 * static_cast<double>(random.between(1, 1'000'000));
    const double kept = worth >= price.price() ? 1 : 0;
    price.count(worth, 1, rule, kept);
    price.fade(100);
    held += kept;
  }
  return held / count;
}

TEST(HoldingPrice, SpendsWhatTheRuleWouldHaveSpent) {
  for (double rule : {0.1, 0.5, 0.9}) {
    HoldingPrice price;
    shareHeld(price, rule, 5000, 1);
    EXPECT_NEAR(shareHeld(price, rule, 20'000, 2), rule, 0.05) << rule;
  }
}

TEST(HoldingPrice, LeadsWhenItHasProvedBetterThanTheRule) {
  HoldingPrice price;
  EXPECT_FALSE(price.leads());
  for (int i = 0; i < 10; ++i) price.compare(0, 1);
  EXPECT_TRUE(price.leads());
  for (int i = 0; i < 10; ++i) price.compare(1, 0);
  EXPECT_FALSE(price.leads());
}

TEST(HoldingPrice, FollowsAChangeOfWhatComes) {
  HoldingPrice price;
  shareHeld(price, 0.8, 20'000, 1);
  const double before = price.price();
  shareHeld(price, 0.2, 20'000, 2);
  EXPECT_GT(price.price(), before);
  EXPECT_NEAR(shareHeld(price, 0.2, 20'000, 3), 0.2, 0.05);
}

}  // namespace
}  // namespace okibi::planner
