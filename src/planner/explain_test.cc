// "Why this card?": what people are told when an instance is given its card (StartInstance, Wake).

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "planner/planner.h"

namespace okibi::planner {
namespace {

class WhyCard : public ::testing::Test {
 protected:
  explicit WhyCard(Bytes hostMemory = Bytes::gib(16)) : planner_({.hostMemory = hostMemory}) {}

  std::vector<Command> step(const Event& event) {
    now_ += 10ms;
    std::vector<Command> commands;
    planner_.step(now_, event, commands);
    return commands;
  }
  void card(std::uint64_t id, int gib) {
    step(CardAdded{{CardId(id), "SIM", "T", Bytes::gib(gib), CardOrigin::Simulated}});
  }
  // gib 0: a CPU function.
  void function(std::uint64_t key, int gib, std::optional<Duration> parkAfter = {},
                const std::string& account = "a") {
    FunctionPlan plan;
    plan.key = FunctionKey(key);
    plan.account = account;
    plan.name = fmt::format("f{}", key);
    if (gib > 0) plan.gpu = GpuConfig{"T", Bytes::gib(gib)};
    plan.freezeAfter.reset();
    plan.parkAfter = parkAfter;
    step(FunctionAdded{plan, {}});
  }
  std::vector<Command> arrive(std::uint64_t key) {
    return step(InvocationArrived{InvocationId(++invocation_), FunctionKey(key), now_ + 1h});
  }
  // The first that is commanded; "nothing starts" else.
  static std::string whyCard(const std::vector<Command>& commands) {
    for (const Command& command : commands) {
      if (const auto* start = std::get_if<StartInstance>(&command)) return start->whyCard;
      if (const auto* wake = std::get_if<Wake>(&command)) return wake->whyCard;
    }
    return "nothing starts";
  }
  // Of the first that is stopped.
  static std::string whyStopped(const std::vector<Command>& commands) {
    for (const Command& command : commands) {
      if (const auto* stop = std::get_if<StopInstance>(&command)) return stop->detail;
    }
    return "nothing stops";
  }
  // Instance `id` starts for function `key`, serves one request, and is idle.
  void serve(std::uint64_t key, std::uint64_t id) {
    EXPECT_NE(whyCard(arrive(key)), "nothing starts");
    step(InstanceReady{InstanceId(id)});
    step(InvocationEnded{InvocationId(invocation_), Outcome::Completed});
  }

  Planner planner_;
  Instant now_{};
  std::uint64_t invocation_ = 0;
};

// Where nothing is parked.
class WhyStopped : public WhyCard {
 protected:
  WhyStopped() : WhyCard(Bytes()) {}
};

TEST_F(WhyCard, TheOnlyOneWithRoom) {
  card(1, 16);
  card(2, 2);
  function(1, 4);
  EXPECT_EQ(whyCard(arrive(1)), "card 1: the only one of T with room, 12 of 16 GB are left");
}

TEST_F(WhyCard, OfThoseWithRoomTheOneThatFitsBest) {
  card(1, 24);
  card(2, 16);
  card(3, 2);
  function(1, 4);
  EXPECT_EQ(whyCard(arrive(1)), "card 2: of 2 with room it is left with least, 12 of 16 GB");
  EXPECT_EQ(whyCard(arrive(1)), "card 2: of 2 with room it is left with least, 8 of 16 GB");
}

TEST_F(WhyCard, OthersMakeRoom) {
  card(1, 16);
  function(1, 8);
  function(2, 8);
  function(3, 16);
  serve(1, 1);
  serve(2, 2);
  EXPECT_EQ(whyCard(arrive(3)), "nothing starts");
  step(InstanceGone{InstanceId(1), {}});
  EXPECT_EQ(whyCard(step(InstanceGone{InstanceId(2), {}})),
            "card 1: no card had room; 2 instances made room there");
}

// Who makes room is told for whom, unless that is another account's business.
TEST_F(WhyStopped, RoomIsMadeForSomebody) {
  card(1, 16);
  function(1, 16);
  function(2, 16);
  function(3, 16, {}, "b");
  serve(1, 1);
  EXPECT_EQ(whyStopped(arrive(2)), "for function 'f2'");
  step(InstanceGone{InstanceId(1), {}});
  step(InstanceReady{InstanceId(2)});
  step(InvocationEnded{InvocationId(invocation_), Outcome::Completed});
  EXPECT_EQ(whyStopped(arrive(3)), "for another account");
}

TEST_F(WhyCard, WhatItNeedsIsBeingGivenBack) {
  card(1, 16);
  function(1, 16);
  function(2, 16);
  serve(1, 1);
  step(FunctionRetired{FunctionKey(1)});
  EXPECT_EQ(whyCard(arrive(2)), "nothing starts");
  EXPECT_EQ(whyCard(step(InstanceGone{InstanceId(1), {}})),
            "card 1: no card had room; what it needs is being given back there");
}

// Promised a card, it takes another that comes free first.
TEST_F(WhyCard, AnotherCardComesFreeFirst) {
  card(1, 16);
  function(1, 16);
  function(2, 16);
  serve(1, 1);
  EXPECT_EQ(whyCard(arrive(2)), "nothing starts");
  now_ += 10ms;
  std::vector<Command> commands;
  planner_.step(now_, CardAdded{{CardId(2), "SIM", "T", Bytes::gib(16), CardOrigin::Simulated}},
                commands);
  EXPECT_EQ(whyCard(commands), "card 2: the only one of T with room, 0 of 16 GB are left");
}

TEST_F(WhyCard, AWokenInstanceHasOneToo) {
  card(1, 16);
  function(1, 8, 1s);
  serve(1, 1);
  now_ += 1s;
  step(TimerFired{});
  step(InstanceParked{InstanceId(1)});
  card(2, 24);
  EXPECT_EQ(whyCard(arrive(1)), "card 1: of 2 with room it is left with least, 8 of 16 GB");
}

TEST_F(WhyCard, ACpuFunctionHasNone) {
  function(1, 0);
  EXPECT_EQ(whyCard(arrive(1)), "");
}

}  // namespace
}  // namespace okibi::planner
