// Every law's checker must bite: each test feeds a trace that breaks exactly that law.

#include "planner/law_checker.h"

#include <gtest/gtest.h>

namespace okibi::planner {
namespace {

class LawCheckerTest : public ::testing::Test {
 protected:
  LawCheckerTest() {
    feed(CardAdded{{CardId(1), "SIM", "T", Bytes::gib(16), CardOrigin::Simulated}});
    addFunction(1, "a");
  }

  void feed(const Event& event, std::vector<Command> commands = {}) {
    checker_.observe(now_, event, commands, {});
  }
  void addFunction(std::uint64_t key, std::string account, int weight = 1) {
    FunctionPlan plan;
    plan.weight = weight;
    plan.key = FunctionKey(key);
    plan.account = std::move(account);
    plan.gpu = GpuConfig{"T", Bytes::gib(10)};
    feed(FunctionAdded{plan, std::nullopt});
  }
  static InstanceView holds(std::uint64_t id, std::uint64_t function, InstanceState state) {
    InstanceView view;
    view.id = InstanceId(id);
    view.function = FunctionKey(function);
    view.state = state;
    return view;
  }
  // Functions 1 and 2 wait for cards, with what they hold.
  void bothWait(const Event& event, const std::vector<InstanceView>& there) {
    checker_.observe(now_, event, {}, there, {waitsForCards(1), waitsForCards(2)});
  }
  static FunctionView waitsForCards(std::uint64_t key) {
    FunctionView view;
    view.key = FunctionKey(key);
    view.inLine = view.forCards = true;
    return view;
  }
  void arrive(std::uint64_t id, std::vector<Command> commands = {}) {
    feed(InvocationArrived{InvocationId(id), FunctionKey(1), now_ + 10s}, std::move(commands));
  }
  static StartInstance start(std::uint64_t id) {
    return {InstanceId(id), FunctionKey(1), Slice{CardId(1), Bytes::gib(10)}, "", ""};
  }
  static Dispatch dispatch(std::uint64_t request, std::uint64_t instance) {
    return {InvocationId(request), InstanceId(instance), Warmth::Warm, ""};
  }
  static StopInstance stop(std::uint64_t id) {
    StopInstance command;
    command.instance = InstanceId(id);
    return command;
  }
  static StartInstance startAhead(std::uint64_t id) {
    StartInstance command = start(id);
    command.ahead = true;
    return command;
  }
  // Function 2, on the same cards, waits for one.
  void otherWaits(std::vector<Command> commands = {}) {
    addFunction(2, "b");
    checker_.observe(now_, InvocationArrived{InvocationId(9), FunctionKey(2), now_ + 10s}, commands,
                     {}, {waitsForCards(2)});
  }
  // Instance 1 serves invocation 1.
  void serveOne() {
    arrive(1, {start(1)});
    feed(InstanceReady{InstanceId(1)}, {dispatch(1, 1)});
    ASSERT_TRUE(checker_.violations().empty()) << checker_.violations().front();
  }
  // Instance 1 has served invocation 1 and is parked.
  void park() {
    serveOne();
    feed(InvocationEnded{InvocationId(1), Outcome::Completed}, {Park{InstanceId(1)}});
    feed(InstanceParked{InstanceId(1)});
    ASSERT_TRUE(checker_.violations().empty()) << checker_.violations().front();
  }
  void expectBroken(const std::string& text) {
    ASSERT_FALSE(checker_.violations().empty()) << "nothing was noticed";
    EXPECT_EQ(checker_.violations().front(), text);
  }

  PlannerConfig config_{
      .cardQuota = 2, .waitMarginPercent = 0, .queuePerFunction = 3, .hostMemory = Bytes::gib(10)};
  LawChecker checker_{config_};
  Instant now_{};
};

TEST_F(LawCheckerTest, UnhealthyInstanceGetsNoRequest) {
  serveOne();
  feed(InvocationEnded{InvocationId(1), Outcome::Completed});
  feed(InstanceHealthChanged{InstanceId(1), Health::Unhealthy});
  arrive(2, {dispatch(2, 1)});
  expectBroken("law 3: invocation 2 to unhealthy instance 1");
}

TEST_F(LawCheckerTest, SoundTracePasses) {
  serveOne();
  feed(InvocationEnded{InvocationId(1), Outcome::Completed},
       {Freeze{InstanceId(1)}, Thaw{InstanceId(1)}, stop(1)});
  feed(InstanceGone{InstanceId(1), {}});
  checker_.expectRest();
  EXPECT_TRUE(checker_.violations().empty());
}

TEST_F(LawCheckerTest, Law4CameForAnExpectedRequestWhileOthersWaited) {
  otherWaits({startAhead(1)});
  expectBroken("law 4: instance 1 came for an expected request while function 2 waited");
}

TEST_F(LawCheckerTest, Law4HeldForAnExpectedRequestWhileOthersWait) {
  feed(TimerFired{}, {startAhead(1)});
  otherWaits();
  expectBroken("law 4: instance 1 is held for an expected request while function 2 waits");
}

TEST_F(LawCheckerTest, WhatWasStartedAheadStaysWithWhoeverUsesIt) {
  feed(TimerFired{}, {startAhead(1)});
  arrive(1);
  otherWaits();
  EXPECT_TRUE(checker_.violations().empty());
}

TEST_F(LawCheckerTest, Law1SlicesExceedTheCard) {
  arrive(1);
  arrive(2, {start(1), start(2)});
  expectBroken("law 1: card 1: 20 of 16 GB");
}

TEST_F(LawCheckerTest, Law1SliceOfAStoppingInstanceIsStillHeld) {
  serveOne();
  feed(InvocationEnded{InvocationId(1), Outcome::Completed}, {stop(1)});
  arrive(2, {start(2)});
  expectBroken("law 1: card 1: 20 of 16 GB");
}

TEST_F(LawCheckerTest, Law2DispatchedTwice) {
  serveOne();
  feed(TimerFired{}, {dispatch(1, 1)});
  expectBroken("law 2: invocation 1 dispatched, not queued");
}

TEST_F(LawCheckerTest, Law2AnsweredTwice) {
  arrive(1, {Refuse{InvocationId(1), {ErrorKind::Exhausted, "full", {}}}});
  feed(TimerFired{}, {Refuse{InvocationId(1), {ErrorKind::Exhausted, "full", {}}}});
  expectBroken("law 2: invocation 1 refused, not queued");
}

TEST_F(LawCheckerTest, Law2WaitsPastItsDeadline) {
  arrive(1);
  now_ += 11s;
  feed(TimerFired{});
  expectBroken("law 2: function 1: 1 wait past their deadline");
}

TEST_F(LawCheckerTest, Law3MoreRequestsThanConcurrency) {
  serveOne();
  arrive(2, {dispatch(2, 1)});
  expectBroken("law 3: instance 1 serves 2");
}

TEST_F(LawCheckerTest, Law3DispatchedToAnInstanceThatIsNotReady) {
  arrive(1, {start(1), dispatch(1, 1)});
  expectBroken("law 3: invocation 1 to instance 1 that is not ready");
}

TEST_F(LawCheckerTest, Law3DispatchedToAFrozenInstance) {
  serveOne();
  feed(InvocationEnded{InvocationId(1), Outcome::Completed}, {Freeze{InstanceId(1)}});
  arrive(2, {dispatch(2, 1)});
  expectBroken("law 3: invocation 2 to instance 1 that is not ready");
}

TEST_F(LawCheckerTest, Law3FrozenInUse) {
  serveOne();
  feed(TimerFired{}, {Freeze{InstanceId(1)}});
  expectBroken("law 3: instance 1 frozen while in use");
}

TEST_F(LawCheckerTest, Law3StoppedInUse) {
  serveOne();
  feed(TimerFired{}, {stop(1)});
  expectBroken("law 3: instance 1 stopped frozen or with 1 in flight, 0 sessions");
}

TEST_F(LawCheckerTest, Law1ParkedInstanceHoldsNoCardButHostMemory) {
  park();
  arrive(2, {start(2)});
  expectBroken("law 4: instance 2 started while 1 is parked");
  feed(InstanceReady{InstanceId(2)}, {dispatch(2, 2)});
  feed(InvocationEnded{InvocationId(2), Outcome::Completed}, {Park{InstanceId(2)}});
  EXPECT_EQ(checker_.violations().back(), "law 1: host memory: 20 of 10 GB");
}

TEST_F(LawCheckerTest, Law1WokenOnAFullCard) {
  park();
  feed(CardAdded{{CardId(2), "SIM", "T", Bytes::gib(8), CardOrigin::Simulated}});
  arrive(2, {Wake{InstanceId(1), Slice{CardId(2), Bytes::gib(10)}, ""}});
  expectBroken("law 1: card 2: 10 of 8 GB");
}

TEST_F(LawCheckerTest, Law3ParkedInUse) {
  serveOne();
  feed(TimerFired{}, {Park{InstanceId(1)}});
  expectBroken("law 3: instance 1 parked while in use or off its card");
}

TEST_F(LawCheckerTest, Law3FrozenParkedOrStoppedUnderASession) {
  serveOne();
  feed(InvocationEnded{InvocationId(1), Outcome::Completed});
  feed(SessionOpened{InstanceId(1)}, {Freeze{InstanceId(1)}});
  expectBroken("law 3: instance 1 frozen while in use");
  feed(TimerFired{}, {Park{InstanceId(1)}});
  EXPECT_EQ(checker_.violations().back(), "law 3: instance 1 parked while in use or off its card");
  feed(TimerFired{}, {stop(1)});
  EXPECT_EQ(checker_.violations().back(),
            "law 3: instance 1 stopped frozen or with 0 in flight, 1 sessions");
}

TEST_F(LawCheckerTest, Law3SessionsEndedWithoutNeed) {
  serveOne();
  feed(SessionOpened{InstanceId(1)}, {EndSessions{InstanceId(1)}});
  expectBroken("law 3: instance 1: sessions ended without need");
}

TEST_F(LawCheckerTest, Law9DrainingButItsSessionMayStay) {
  serveOne();
  feed(SessionOpened{InstanceId(1)});
  InstanceView view;
  view.id = InstanceId(1);
  view.state = InstanceState::Draining;
  view.inFlight = view.sessions = 1;
  checker_.observe(now_, TimerFired{}, {}, {view});
  expectBroken("law 9: instance 1 drains, but its sessions may stay");
}

TEST_F(LawCheckerTest, Law3DispatchedToAParkedInstance) {
  park();
  arrive(2, {dispatch(2, 1)});
  expectBroken("law 3: invocation 2 to instance 1 that is not ready");
}

TEST_F(LawCheckerTest, Law3WokenThoughNotParked) {
  serveOne();
  feed(TimerFired{}, {Wake{InstanceId(1), Slice{CardId(1), Bytes::gib(10)}, ""}});
  expectBroken("law 3: instance 1 woken, not parked");
}

TEST_F(LawCheckerTest, Law4WokenForNobody) {
  park();
  feed(TimerFired{}, {Wake{InstanceId(1), Slice{CardId(1), Bytes::gib(10)}, ""}});
  expectBroken("law 4: instance 1 woken for nobody");
}

TEST_F(LawCheckerTest, Law4StartedForNobody) {
  feed(TimerFired{}, {start(1)});
  expectBroken("law 4: instance 1 started for nobody");
}

TEST_F(LawCheckerTest, Law4WastedWhileOneWaits) {
  serveOne();
  arrive(2);
  feed(InvocationEnded{InvocationId(1), Outcome::Completed});
  expectBroken("law 4: instance 1 has room while 1 wait");
}

TEST_F(LawCheckerTest, Law5QuotaExceeded) {
  for (std::uint64_t card = 2; card <= 3; ++card) {
    feed(CardAdded{{CardId(card), "SIM", "T", Bytes::gib(16), CardOrigin::Simulated}});
  }
  arrive(1);
  arrive(2);
  StartInstance second = start(2), third = start(3);
  second.slice->card = CardId(2);
  third.slice->card = CardId(3);
  arrive(3, {start(1), second, third});
  expectBroken("law 5: account a: 3 GPU instances");
}

TEST_F(LawCheckerTest, Law4WaitsInLineThoughAStartWouldHaveBeenSooner) {
  arrive(1, {start(1)});
  now_ += 2s;
  feed(InstanceReady{InstanceId(1)}, {dispatch(1, 1)});
  arrive(2);
  FunctionView view;
  view.key = FunctionKey(1);
  now_ += 4s;
  checker_.observe(now_, TimerFired{}, {}, {}, {view});
  EXPECT_TRUE(checker_.violations().empty());
  now_ += 1ms;
  view.inLine = true;  // there is no card
  checker_.observe(now_, TimerFired{}, {}, {}, {view});
  EXPECT_TRUE(checker_.violations().empty());
  view.inLine = false;
  checker_.observe(now_, TimerFired{}, {}, {}, {view});
  expectBroken("law 4: function 1: a request has waited 4001 ms and no instance comes");
}

TEST_F(LawCheckerTest, Law5StartsBeyondBurstAndGrowth) {
  for (std::uint64_t card = 2; card <= 3; ++card) {
    feed(CardAdded{{CardId(card), "SIM", "T", Bytes::gib(16), CardOrigin::Simulated}});
  }
  feed(QuotaChanged{"a", 3, 3, 1, 2});
  arrive(1, {start(1)});
  now_ += 31s;
  StartInstance second = start(2);
  second.slice->card = CardId(2);
  arrive(2, {second});
  EXPECT_TRUE(checker_.violations().empty());
  now_ += 1ms;
  feed(InstanceGone{InstanceId(1), {}});
  EXPECT_TRUE(checker_.violations().empty());
  StartInstance third = start(3);
  third.slice->card = CardId(3);
  arrive(3);
  arrive(4, {third});
  expectBroken("law 5: account a: 3 instances started in 31001 ms");
}

// Another function is served again and again, though one has waited as long as it.
TEST_F(LawCheckerTest, Law10PassedOverForever) {
  addFunction(2, "b");
  const FunctionView waits = waitsForCards(1);
  const auto observe = [&](const Event& event, const std::vector<Command>& commands) {
    checker_.observe(now_, event, commands, {}, {waits});
  };
  observe(InvocationArrived{InvocationId(1), FunctionKey(1), now_ + 100s}, {});
  for (std::uint64_t i = 2; i <= 11; ++i) {
    StartInstance given = start(i);
    given.function = FunctionKey(2);
    observe(InvocationArrived{InvocationId(i), FunctionKey(2), now_ + 100s}, {given});
    if (i < 11) ASSERT_TRUE(checker_.violations().empty()) << checker_.violations().front();
    observe(InvocationCancelled{InvocationId(i)}, {stop(i)});
    observe(InstanceGone{InstanceId(i), {}}, {});
  }
  expectBroken("law 10: function 1: passed over 10 times while 1 waited");
}

// Function 2 has two slices and gets a third, though function 1 of the same account waits with one.
TEST_F(LawCheckerTest, Law10GivenToWhoHoldsMoreForItsWeight) {
  addFunction(2, "a", 3);
  constexpr auto kPlacing = InstanceState::Placing;
  std::vector<InstanceView> there{holds(1, 1, kPlacing), holds(2, 2, kPlacing),
                                  holds(3, 2, kPlacing)};
  bothWait(TimerFired{}, there);
  there.push_back(holds(4, 2, kPlacing));  // for its weight of three it held less
  bothWait(TimerFired{}, there);
  EXPECT_TRUE(checker_.violations().empty()) << checker_.violations().front();
  there.push_back(holds(5, 2, kPlacing));  // and now as much
  bothWait(TimerFired{}, there);
  EXPECT_TRUE(checker_.violations().empty()) << checker_.violations().front();
  there.push_back(holds(6, 2, kPlacing));
  bothWait(WeightChanged{FunctionKey(2), 1}, there);
  expectBroken(fmt::format(
      "law 10: function 2: given a slice when it held {} for its weight, while function 1 waited "
      "with {}",
      Bytes::gib(40).count(), Bytes::gib(10).count()));
}

// The same between accounts: b weighs two, and comes to hold more than twice of what a has.
TEST_F(LawCheckerTest, Law10GivenToAnAccountThatHoldsMoreForItsWeight) {
  addFunction(2, "b");
  feed(QuotaChanged{.account = "b", .cards = 9, .instances = 9, .weight = 2});
  constexpr auto kReady = InstanceState::Ready;
  std::vector<InstanceView> there{holds(1, 1, kReady), holds(2, 2, kReady), holds(3, 2, kReady)};
  bothWait(TimerFired{}, there);
  there.push_back(holds(4, 2, kReady));  // it held as much for its weight
  bothWait(TimerFired{}, there);
  EXPECT_TRUE(checker_.violations().empty()) << checker_.violations().front();
  there.push_back(holds(5, 2, kReady));
  bothWait(TimerFired{}, there);
  expectBroken(
      fmt::format("law 10: account b: given a slice when it held {} for its weight, while "
                  "account a waited with {}",
                  Bytes::gib(15).count(), Bytes::gib(10).count()));
}

TEST_F(LawCheckerTest, Law7QueuedThoughTheQueueIsFull) {
  for (std::uint64_t id = 1; id <= config_.queuePerFunction; ++id) arrive(id);
  EXPECT_TRUE(checker_.violations().empty());
  arrive(4, {Refuse{InvocationId(4), {ErrorKind::Exhausted, "full", {}}}});
  EXPECT_TRUE(checker_.violations().empty());
  arrive(5);
  expectBroken("law 7: function 1: 4 of 3 queued");
}

TEST_F(LawCheckerTest, Law8AbortedThoughTheInstanceLives) {
  serveOne();
  feed(TimerFired{}, {Abort{InvocationId(1), InstanceId(1), {}}});
  expectBroken("law 8: invocation 1 aborted though instance 1 lives");
}

TEST_F(LawCheckerTest, Law8CallerLeftButTheSlotIsKept) {
  serveOne();
  // The planner's own count must show the slot free.
  InstanceView view;
  view.id = InstanceId(1);
  view.state = InstanceState::Ready;
  view.inFlight = 1;
  checker_.observe(now_, InvocationCancelled{InvocationId(1)}, {}, {view});
  expectBroken("law 2: instance 1 shows 1 in flight, has 0");
}

TEST_F(LawCheckerTest, Law9NotAtRest) {
  serveOne();
  checker_.expectRest();
  expectBroken("law 9: invocation 1 never ended");
}

}  // namespace
}  // namespace okibi::planner
