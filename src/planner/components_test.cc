// The parts on their own: life cycle, queue, timers, lines, slices, placement, keep-alive.

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

#include "base/random.h"
#include "planner/instance_state.h"
#include "planner/keep_alive.h"
#include "planner/placement.h"
#include "planner/planner.h"
#include "planner/request_queue.h"
#include "planner/slice_ledger.h"
#include "planner/timer_set.h"
#include "planner/waiting_line.h"

namespace okibi::planner {
namespace {

TEST(InstanceState, OnlyTheLifeCyclesMovesAreLegal) {
  using enum InstanceState;
  const InstanceState all[] = {Placing, Starting, Initializing, Ready,
                               Frozen,  Draining, Stopping,     Gone};
  const std::set<std::pair<InstanceState, InstanceState>> legal = {
      {Placing, Starting},   {Starting, Initializing}, {Starting, Ready},  {Starting, Stopping},
      {Initializing, Ready}, {Initializing, Stopping}, {Ready, Frozen},    {Ready, Draining},
      {Ready, Stopping},     {Frozen, Ready},          {Frozen, Stopping}, {Draining, Stopping}};
  for (InstanceState from : all) {
    for (InstanceState to : all) {
      const bool expected = legal.contains({from, to}) || (to == Gone && from != Gone);
      EXPECT_EQ(mayMove(from, to), expected) << toString(from) << " to " << toString(to);
    }
  }
}

Request requestOf(std::uint64_t arrival) {
  Request request;
  request.id = InvocationId(arrival);
  request.arrival = arrival;
  return request;
}

TEST(RequestQueue, FirstComeFirstServedAlsoAfterLeavingAndMerging) {
  Request a = requestOf(1), b = requestOf(3), c = requestOf(5), early = requestOf(2),
          first = requestOf(0);
  RequestQueue queue;
  queue.push(a);
  queue.push(b);
  queue.push(c);
  queue.merge(early);
  queue.merge(first);
  queue.erase(b);
  EXPECT_EQ(queue.size(), 4U);
  EXPECT_EQ(queue.at(0), &first);
  EXPECT_EQ(queue.at(1), &a);
  EXPECT_EQ(queue.at(2), &early);
  EXPECT_EQ(queue.at(3), &c);
  EXPECT_EQ(queue.at(4), nullptr);
  EXPECT_TRUE(queue.isWithin(early, 3));
  EXPECT_FALSE(queue.isWithin(early, 2));
  queue.markOverdue(early);
  EXPECT_EQ(queue.overdue(), 1U);
  queue.erase(early);
  EXPECT_EQ(queue.overdue(), 0U);
}

// at() remembers where it was: what it says must not depend on what it was asked before.
TEST(RequestQueue, PlacesAreThoseOfAPlainList) {
  Random random(11);
  std::vector<Request> requests;
  for (std::uint64_t i = 0; i < 400; ++i) requests.push_back(requestOf(i + 1));
  const auto drawn = [&](std::size_t size) {
    return static_cast<std::size_t>(random.between(0, static_cast<std::int64_t>(size) - 1));
  };
  RequestQueue queue;
  std::vector<Request*> plain, outside;
  for (Request& request : requests) outside.push_back(&request);
  for (int step = 0; step < 4000; ++step) {
    if (!outside.empty() && random.chance(0.5)) {
      const std::size_t i = drawn(outside.size());
      queue.merge(*outside[i]);
      plain.insert(std::ranges::upper_bound(plain, outside[i]->arrival, {}, &Request::arrival),
                   outside[i]);
      if (!outside[i]->overdue && random.chance(0.3)) queue.markOverdue(*outside[i]);
      outside.erase(outside.begin() + static_cast<std::ptrdiff_t>(i));
    } else if (!plain.empty()) {
      const std::size_t i = drawn(plain.size());
      queue.erase(*plain[i]);
      outside.push_back(plain[i]);
      plain.erase(plain.begin() + static_cast<std::ptrdiff_t>(i));
    }
    if (plain.empty()) continue;
    const std::size_t ahead = drawn(plain.size()), other = drawn(plain.size());
    ASSERT_EQ(queue.at(ahead), plain[ahead]);
    ASSERT_EQ(queue.isWithin(*plain[other], ahead), other < ahead);
    const auto late = std::find_if(plain.begin() + static_cast<std::ptrdiff_t>(ahead), plain.end(),
                                   [](const Request* r) { return r->overdue; });
    ASSERT_EQ(queue.overdueFrom(*plain[ahead]), late == plain.end() ? nullptr : *late);
    ASSERT_EQ(queue.at(plain.size()), nullptr);
  }
}

TEST(TimerSet, GivesWhatIsDueInOrderOfTime) {
  TimerSet timers;
  const Instant start{};
  timers.add({start + 2s, TimerKind::Idle, 1});
  timers.add({start + 1s, TimerKind::Yield, 2});
  timers.add({start + 1s, TimerKind::Idle, 1});
  EXPECT_FALSE(timers.takeDue(start));
  EXPECT_EQ(timers.takeDue(start + 1s)->kind, TimerKind::Yield);
  EXPECT_EQ(timers.takeDue(start + 1s)->kind, TimerKind::Idle);
  EXPECT_FALSE(timers.takeDue(start + 1s));
  timers.remove({start + 2s, TimerKind::Idle, 1});
  EXPECT_TRUE(timers.empty());
  EXPECT_DEATH(timers.remove({start, TimerKind::Idle, 9}), "is not set");
}

WaitingLine::Place placeOf(std::uint64_t arrival, Bytes slice, std::uint64_t account = 1,
                           std::int64_t share = 0, std::uint64_t since = 0) {
  return {.slice = slice, .account = account, .share = share, .arrival = arrival, .since = since};
}

TEST(WaitingLine, OldestFirstAndSmallerOnlyWhenAsked) {
  WaitingLine line;
  Function big, small, later;
  line.join(placeOf(1, Bytes::gib(8)), big);
  line.join(placeOf(2, Bytes::gib(2)), small);
  line.join(placeOf(3, Bytes::gib(8)), later);
  EXPECT_EQ(line.first(std::nullopt), &big);
  EXPECT_EQ(line.first(Bytes::gib(8)), &small);
  EXPECT_EQ(line.first(Bytes::gib(2)), nullptr);
  line.leave(placeOf(1, Bytes::gib(8)));
  EXPECT_EQ(line.first(std::nullopt), &small);
  line.leave(placeOf(2, Bytes::gib(2)));
  EXPECT_EQ(line.first(std::nullopt), &later);
  EXPECT_DEATH(line.leave(placeOf(2, Bytes::gib(2))), "arrival 2");
}

TEST(WaitingLine, TheAccountThatHoldsLeastThenTheFunctionThatDoes) {
  WaitingLine line;
  Function rich, richer, poor;
  line.join(placeOf(1, Bytes::gib(8), 1, 20), richer);
  line.join(placeOf(2, Bytes::gib(2), 1, 10), rich);
  line.join(placeOf(3, Bytes::gib(8), 2, 30), poor);
  line.setShare(1, 30);
  line.setShare(2, 29);
  EXPECT_EQ(line.first(std::nullopt), &poor);
  line.setShare(2, 31);
  EXPECT_EQ(line.first(std::nullopt), &rich);
  line.leave(placeOf(2, Bytes::gib(2), 1, 10));
  EXPECT_EQ(line.first(std::nullopt), &richer);
}

TEST(WaitingLine, NobodyIsPassedOverForever) {
  WaitingLine line;
  Function rich, poor;
  line.setShare(1, 100);
  line.join(placeOf(1, Bytes::gib(8), 1), rich);
  line.join(placeOf(2, Bytes::gib(8), 2), poor);
  for (std::uint64_t turn = 0; turn < 2 * WaitingLine::kTurnsEach; ++turn) {
    EXPECT_EQ(line.first(std::nullopt), &poor) << turn;
    line.passTurn();
    line.leave(placeOf(2 + turn, Bytes::gib(8), 2, 0, turn));
    line.join(placeOf(3 + turn, Bytes::gib(8), 2, 0, turn + 1), poor);
  }
  EXPECT_EQ(line.first(std::nullopt), &rich);
}

TEST(KeepAlive, FreezesThenReleases) {
  const Instant idle{};
  const KeepAliveRule rule{10s, 1s};
  EXPECT_EQ(nextIdleStep(rule, idle, Hold::Running), (IdleStep{idle + 1s, IdleAction::Freeze}));
  EXPECT_EQ(nextIdleStep(rule, idle, Hold::Frozen), (IdleStep{idle + 10s, IdleAction::Release}));
  // A freeze that would not come before the release is not made.
  EXPECT_EQ(nextIdleStep({1s, 1s, std::nullopt}, idle, Hold::Running),
            (IdleStep{idle + 1s, IdleAction::Release}));
  EXPECT_EQ(nextIdleStep({10s, std::nullopt, std::nullopt}, idle, Hold::Running),
            (IdleStep{idle + 10s, IdleAction::Release}));
}

class SliceLedgerTest : public ::testing::Test {
 protected:
  CardBook& addCard(std::uint64_t id, std::int64_t gib) {
    return ledger_.add({CardId(id), "SIM", "T", Bytes::gib(gib), CardOrigin::Simulated});
  }
  SliceLedger ledger_;
};

TEST_F(SliceLedgerTest, MemoryThatLeavesMayBePromisedButNotBooked) {
  CardBook& card = addCard(1, 16);
  ledger_.hold(card, Bytes::gib(10), InstanceId(1));
  EXPECT_EQ(card.bookable(), Bytes::gib(6));
  ledger_.markLeaving(card, Bytes::gib(10));
  EXPECT_EQ(card.promisable(), Bytes::gib(16));
  EXPECT_EQ(card.bookable(), Bytes::gib(6));
  ledger_.claim(card, Bytes::gib(12), InstanceId(2));
  EXPECT_EQ(card.bookable(), Bytes::gib(4));
  EXPECT_DEATH(ledger_.hold(card, Bytes::gib(12), InstanceId(2)), "slice of");
  EXPECT_DEATH(ledger_.claim(card, Bytes::gib(5), InstanceId(3)), "claim of");
  ledger_.giveBack(card, Bytes::gib(10), InstanceId(1), SliceLedger::Leaving::Yes);
  ledger_.unclaim(card, Bytes::gib(12), InstanceId(2));
  ledger_.hold(card, Bytes::gib(12), InstanceId(2));
  ledger_.check();
}

TEST_F(SliceLedgerTest, LostCardIsForgottenWithItsLastSlice) {
  CardBook& card = addCard(1, 16);
  ledger_.hold(card, Bytes::gib(1), InstanceId(1));
  ledger_.lose(card);
  EXPECT_EQ(bookableCard(ledger_.shelf("T"), Bytes::gib(1)), nullptr);
  ASSERT_NE(ledger_.find(CardId(1)), nullptr);
  ledger_.check();
  ledger_.giveBack(card, Bytes::gib(1), InstanceId(1), SliceLedger::Leaving::No);
  EXPECT_EQ(ledger_.find(CardId(1)), nullptr);
  EXPECT_EQ(ledger_.shelf("T").usable, 0);
}

TEST_F(SliceLedgerTest, CardThatComesBackKeepsWhatItHolds) {
  CardBook& card = addCard(1, 16);
  ledger_.hold(card, Bytes::gib(3), InstanceId(1));
  ledger_.lose(card);
  EXPECT_EQ(addCard(1, 16).bookable(), Bytes::gib(13));
  EXPECT_DEATH(addCard(1, 16), "there already");
}

TEST_F(SliceLedgerTest, BestFitLeavesLeastAndTiesGoToTheLowestId) {
  addCard(3, 16);
  addCard(1, 12);
  addCard(2, 12);
  const Shelf& shelf = ledger_.shelf("T");
  EXPECT_EQ(bookableCard(shelf, Bytes::gib(4))->id, CardId(1));
  EXPECT_EQ(bookableCard(shelf, Bytes::gib(13))->id, CardId(3));
  EXPECT_EQ(bookableCard(shelf, Bytes::gib(17)), nullptr);
}

TEST_F(SliceLedgerTest, LeastFragmentationLeavesWhatTheFunctionsCanUse) {
  addCard(1, 10);
  addCard(2, 16);
  Shelf& shelf = ledger_.shelf("T");
  EXPECT_EQ(bookableCard(shelf, Bytes::gib(4))->id, CardId(1));
  // 6 GB left over are of use to half of them, 12 GB to all.
  shelf.sizes = {{Bytes::gib(4), 1}, {Bytes::gib(8), 1}};
  shelf.rule = CardRule::Fragmentation;
  EXPECT_EQ(bookableCard(shelf, Bytes::gib(4))->id, CardId(2));
  EXPECT_EQ(bookableCard(shelf, Bytes::gib(12))->id, CardId(2));
  EXPECT_EQ(bookableCard(shelf, Bytes::gib(17)), nullptr);
}

TEST(PlannerViews, ShowWhatIsThere) {
  Planner planner;
  std::vector<Command> commands;
  FunctionPlan plan;
  plan.key = FunctionKey(7);
  plan.account = "a";
  plan.gpu = GpuConfig{"T", Bytes::gib(4)};
  planner.step(Instant(), CardAdded{{CardId(1), "SIM", "T", Bytes::gib(4)}}, commands);
  planner.step(Instant(), FunctionAdded{plan, std::nullopt}, commands);
  EXPECT_TRUE(planner.atRest());
  EXPECT_TRUE(planner.activeFunctions().empty());
  for (std::uint64_t id = 1; id <= 2; ++id) {
    planner.step(Instant(), InvocationArrived{InvocationId(id), plan.key, Instant() + 9s},
                 commands);
  }
  planner.step(Instant() + 1s, InstanceReady{InstanceId(1)}, commands);
  EXPECT_FALSE(planner.atRest());
  const InstanceView instance = planner.instance(InstanceId(1)).value();
  EXPECT_EQ(instance.state, InstanceState::Ready);
  EXPECT_EQ(instance.since, Instant() + 1s);
  EXPECT_EQ(instance.inFlight, 1);
  EXPECT_EQ(instance.slice, (Slice{CardId(1), Bytes::gib(4)}));
  EXPECT_FALSE(instance.idleSince);
  const FunctionView function = planner.function(plan.key).value();
  EXPECT_EQ(function.queued, 1U);
  EXPECT_EQ(function.serving, 1);
  EXPECT_EQ(function.oldestDeadline, Instant() + 9s);
  EXPECT_EQ(function.waitingFor, "all cards of T are full: 4 of 4 GB in use on 1 card");
  EXPECT_EQ(planner.cards().at(0).used, Bytes::gib(4));
  EXPECT_EQ(planner.accounts().at(0).cards, 1);
  EXPECT_FALSE(planner.instance(InstanceId(9)));
  EXPECT_FALSE(planner.function(FunctionKey(9)));
}

TEST(PlannerContract, BrokenOnesAbort) {
  Planner planner;
  std::vector<Command> commands;
  planner.step(Instant() + 1s, TimerFired{}, commands);
  EXPECT_DEATH(planner.step(Instant(), TimerFired{}, commands), "time went back");
  FunctionPlan plan;
  plan.key = FunctionKey(1);
  plan.concurrency = limits::kConcurrencyMax + 1;
  EXPECT_DEATH(planner.step(Instant() + 1s, FunctionAdded{plan, std::nullopt}, commands), "201");
}

// The clock was late: with a request comes a deadline, which frees the slot of one that waited for
// the turn of its card. Who queues for the slot came before.
TEST(PlannerContract, ANewcomerDoesNotOvertakeWhoQueues) {
  Planner planner(PlannerConfig{.cardTurns = 1});
  Instant now{};
  const auto step = [&](const Event& event) {
    std::vector<Command> commands;
    planner.step(now, event, commands);
    planner.checkInvariants();
    return commands;
  };
  step(CardAdded{{CardId(1), "SIM", "T", Bytes::gib(16)}});
  for (const std::uint64_t key : {1, 2}) {
    FunctionPlan plan;
    plan.key = FunctionKey(key);
    plan.account = "a";
    plan.gpu = GpuConfig{"T", Bytes::gib(8)};
    step(FunctionAdded{plan, std::nullopt});
  }
  const auto arrive = [&](std::uint64_t id, std::uint64_t function, Duration waits) {
    step(InvocationArrived{InvocationId(id), FunctionKey(function), now + waits});
  };
  arrive(1, 1, 60s);
  step(InstanceReady{InstanceId(1)});  // it computes
  arrive(2, 2, 5s);
  step(InstanceReady{InstanceId(2)});  // it has a slot and waits for a turn
  arrive(3, 2, 60s);                   // the card is full
  now += 6s;
  arrive(4, 2, 60s);
  const auto commands = step(InvocationEnded{InvocationId(1), Outcome::Completed});
  const auto* dispatch = commands.empty() ? nullptr : std::get_if<Dispatch>(&commands.front());
  ASSERT_NE(dispatch, nullptr);
  EXPECT_EQ(dispatch->invocation, InvocationId(3));
}

TEST(PlannerContract, LateNewsIsIgnored) {
  Planner planner;
  std::vector<Command> commands;
  const Event late[] = {InvocationEnded{InvocationId(1), Outcome::Completed},
                        InvocationCancelled{InvocationId(1)},
                        InstanceStarted{InstanceId(1)},
                        InstanceReady{InstanceId(1)},
                        InstanceStartFailed{InstanceId(1), {}},
                        InstanceGone{InstanceId(1), {}},
                        FunctionRetired{FunctionKey(1)},
                        CardLost{CardId(1)}};
  for (const Event& event : late) planner.step(Instant(), event, commands);
  planner.checkInvariants();
  EXPECT_TRUE(commands.empty());
  EXPECT_TRUE(planner.atRest());
}

}  // namespace
}  // namespace okibi::planner
