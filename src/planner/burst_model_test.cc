#include "planner/burst_model.h"

#include <numeric>

#include <gtest/gtest.h>

namespace okibi::planner {
namespace {

// A function that has been wanted by one at a time every ten minutes, and by two every `pairs`th
// time.
ArrivalHistory historyOf(int pairs) {
  ArrivalHistory history;
  for (int i = 0; i < 100; ++i) {
    history.count(Instant(i * 10min), 1);
    if (i % pairs == 0) history.count(Instant(i * 10min + 30s), 2);
  }
  return history;
}

BurstModel::Signs signsOf(const ArrivalHistory& history, BurstModel::Rate rate = {}) {
  const Instant now(1000min);
  const Outlook atLeast = history.outlook(now, 0), more = history.outlook(now, 1);
  return BurstModel::read({1, atLeast, more, 600, 0, rate});
}

double chanceOf(const BurstModel::Course& course) {
  return std::accumulate(course.begin(), course.end(), 0.0);
}

TEST(BurstModel, ACourseIsAChanceForEachStep) {
  const BurstModel model;
  const BurstModel::Course course = model.course(signsOf(historyOf(3)));
  for (double chance : course) EXPECT_GT(chance, 0);
  EXPECT_LT(chanceOf(course), 1);
}

TEST(BurstModel, LearnsWhenOneMoreIsWanted) {
  BurstModel model;
  const BurstModel::Signs paired = signsOf(historyOf(1)), alone = signsOf(historyOf(50));
  for (int i = 0; i < 200; ++i) {
    model.learn(paired, 0, false);
    model.learn(paired, 1, false);
    model.learn(paired, 2, true);
    for (std::size_t step = 0; step < BurstModel::kSteps; ++step) model.learn(alone, step, false);
  }
  const BurstModel::Course course = model.course(paired);
  EXPECT_GT(course[2], 0.7);
  EXPECT_LT(course[0] + course[1], 0.15);
  EXPECT_LT(chanceOf(model.course(alone)), 0.3);
}

TEST(BurstModel, WhatEachFunctionDidIsToldApart) {
  BurstModel::Rate often, seldom;
  for (int i = 0; i < 40; ++i) {
    often.count(i % 2 == 0);
    seldom.count(i % 20 == 0);
  }
  const ArrivalHistory history = historyOf(4);
  EXPECT_NE(signsOf(history, often), signsOf(history, seldom));
  BurstModel model;
  for (int i = 0; i < 300; ++i) {
    model.learn(signsOf(history, often), 1, i % 2 == 0);
    model.learn(signsOf(history, seldom), 1, false);
  }
  EXPECT_GT(model.course(signsOf(history, often))[1],
            3 * model.course(signsOf(history, seldom))[1]);
}

TEST(BurstModel, ARateForgets) {
  BurstModel::Rate rate;
  for (int i = 0; i < 1000; ++i) rate.count(true);
  for (int i = 0; i < 200; ++i) rate.count(false);
  EXPECT_LE(rate.seen, 64.01F);
  EXPECT_LT(rate.came / rate.seen, 0.1F);
}

TEST(BurstModel, AnyHistoryHasItsPlaceInTheTables) {
  BurstModel model;
  const ArrivalHistory nothing;
  ArrivalHistory crowded;
  for (int i = 0; i < 20'000; ++i) {
    crowded.count(Instant(i * 100ms), static_cast<std::size_t>(i % 300));
  }
  for (const ArrivalHistory* history : {&nothing, &std::as_const(crowded)}) {
    for (std::size_t level : {0U, 1U, 4U, 300U}) {
      const Outlook atLeast = history->outlook(Instant(2000s), level);
      const Outlook more = history->outlook(Instant(2000s), level + 1);
      const auto signs = BurstModel::read({level, atLeast, more, 1e9, 1000, {1e6F, 1e6F}});
      for (std::size_t step = 0; step < BurstModel::kSteps; ++step) model.learn(signs, step, true);
      EXPECT_LE(chanceOf(model.course(signs)), 1);
    }
  }
}

}  // namespace
}  // namespace okibi::planner
