// The planner's rules as tables (testing_scenario.h).

#include "planner/testing_scenario.h"

namespace okibi::planner {
namespace {

using testing::check;

TEST(PlannerTable, ColdThenWarmThenFrozenThenReleased) {
  check(R"(
    0    | function f idle=5      |
    0    | arrive 1 f             | start i1 (no instance)
    0.01 | started i1             |
    0.02 | ready i1               | dispatch 1 i1 cold (no instance)
    1    | end 1                  |
    1.5  | arrive 2 f             | dispatch 2 i1 warm
    1.6  | end 2                  |
    2.6  | timer                  | freeze i1
    4    | arrive 3 f             | thaw i1, dispatch 3 i1 thawed
    4.5  | end 3                  |
    5.5  | timer                  | freeze i1
    9.5  | timer                  | thaw i1, stop i1 idle timeout
    9.6  | gone i1                |
  )");
}

// How some tables begin: an instance is being parked; an instance is full and a second comes.
const std::string kParks = R"(
    0    | card c T 16            |
    0    | function f gpu=T:8 idle=60 freeze=never park=10 |
    0    | arrive 1 f             | start i1 c1:8 (no instance)
    2    | ready i1               | dispatch 1 i1 cold (no instance)
    3    | end 1                  |
    13   | timer                  | park i1
)";
const std::string kSecondComes = R"(
    0    | function f             |
    0    | arrive 1 f             | start i1 (no instance)
    0.1  | ready i1               | dispatch 1 i1 cold (no instance)
    0.2  | arrive 2 f             | start i2 (the 1 instance is full)
)";

// Host memory for two slices of 8 GB.
PlannerConfig parking() {
  return {.hostMemory = Bytes::gib(16)};
}

TEST(PlannerTable, ParksThenWakesThenReleases) {
  check(R"(
    0    | card c T 16            |
    0    | function f gpu=T:8 idle=60 freeze=1 park=10 |
    0    | arrive 1 f             | start i1 c1:8 (no instance)
    2    | ready i1               | dispatch 1 i1 cold (no instance)
    3    | end 1                  |
    4    | timer                  | freeze i1
    13   | timer                  | thaw i1, park i1
    14   | parked i1              |
    20   | arrive 2 f             | wake i1 c1:8
    22   | woken i1               | dispatch 2 i1 woken (no instance; 1 parked)
    23   | end 2                  |
    24   | timer                  | freeze i1
    33   | timer                  | thaw i1, park i1
    34   | parked i1              |
    83   | timer                  | stop i1 idle timeout no-hook
    84   | gone i1                |
  )",
        parking());
}

TEST(PlannerTable, RequestDuringParkWaitsForItAndWakesIt) {
  check(kParks + R"(
    13.5 | arrive 2 f             |
    14   | parked i1              | wake i1 c1:8
    16   | woken i1               | dispatch 2 i1 woken (no instance; 1 parked)
  )",
        parking());
}

TEST(PlannerTable, ParkThatFailsEndsTheInstance) {
  check(kParks + R"(
    13.5 | arrive 2 f             |
    14   | unparked i1 no driver  | stop i1 park failed no-hook, start i2 c1:8 (no instance)
    15   | gone i1                |
  )",
        parking());
}

TEST(PlannerTable, WakeThatFailsStartsAnother) {
  check(kParks + R"(
    14   | parked i1              |
    20   | arrive 2 f             | wake i1 c1:8
    21   | gone i1 lost           | start i2 c1:8 (no instance)
  )",
        parking());
}

TEST(PlannerTable, IdleInstanceIsParkedForAnotherFunctionAndWakesOnTheCardThatIsFree) {
  check(R"(
    0    | card c T 16            |
    0    | function f gpu=T:10 idle=600 freeze=never park=300 |
    0    | function g gpu=T:10 idle=20 freeze=never |
    0    | arrive 1 f             | start i1 c1:10 (no instance)
    2    | ready i1               | dispatch 1 i1 cold (no instance)
    3    | end 1                  |
    5    | arrive 2 g             | park i1
    6    | parked i1              | start i2 c1:10 (no instance)
    8    | ready i2               | dispatch 2 i2 cold (no instance)
    9    | arrive 3 f             |
    9.5  | card d T 16            | wake i1 c2:10
    11   | woken i1               | dispatch 3 i1 woken (no instance; 1 parked; waited: no card of T had room)
  )",
        parking());
}

TEST(PlannerTable, FullHostMemoryGivesUpWhoIsParkedLongest) {
  check(R"(
    0    | card c T 32            |
    0    | function f gpu=T:10 idle=600 freeze=never park=10 |
    0    | function g gpu=T:10 idle=600 freeze=never park=10 |
    0    | arrive 1 f             | start i1 c1:10 (no instance)
    1    | ready i1               | dispatch 1 i1 cold (no instance)
    2    | end 1                  |
    5    | arrive 2 g             | start i2 c1:10 (no instance)
    6    | ready i2               | dispatch 2 i2 cold (no instance)
    7    | end 2                  |
    12   | timer                  | park i1
    13   | parked i1              |
    17   | timer                  | stop i1 made room no-hook
    17.5 | gone i1                |
    18   | timer                  | park i2
    19   | parked i2              |
  )",
        parking());
}

TEST(PlannerTable, InstanceThatNeverServedIsReleasedToo) {
  check(R"(
    0    | function f idle=5 freeze=never |
    0    | arrive 1 f             | start i1 (no instance)
    0.1  | cancel 1               |
    0.2  | ready i1               |
    5.2  | timer                  | stop i1 idle timeout
    5.3  | gone i1                |
  )");
}

TEST(PlannerTable, FillsBeforeItStartsAndPrefersTheFullest) {
  check(R"(
    0    | function f conc=3      |
    0    | arrive 1 f             | start i1 (no instance)
    0    | arrive 2 f             |
    0    | arrive 3 f             |
    0    | arrive 4 f             | start i2 (4 queued, 1 starting)
    0.1  | ready i2               | dispatch 1 i2 cold (4 queued, 1 starting), dispatch 2 i2 cold (4 queued, 1 starting), dispatch 3 i2 cold (4 queued, 1 starting)
    0.2  | ready i1               | dispatch 4 i1 cold (no instance)
    0.3  | end 2                  |
    0.3  | arrive 5 f             | dispatch 5 i2 warm
    0.3  | arrive 6 f             | dispatch 6 i1 warm
    0.3  | arrive 7 f             | dispatch 7 i1 warm
    0.3  | arrive 8 f             | start i3 (all 2 instances full)
  )");
}

TEST(PlannerTable, EarlierFreedSlotTakesTheQueuedRequestAndTheStartIsKept) {
  check(R"(
    0    | function f freeze=never idle=9 |
    0    | arrive 1 f             | start i1 (no instance)
    0.1  | ready i1               | dispatch 1 i1 cold (no instance)
    0.2  | arrive 2 f             | start i2 (the 1 instance is full)
    0.3  | end 1                  | dispatch 2 i1 warm (the 1 instance is full)
    0.4  | ready i2               |
    0.5  | arrive 3 f             | dispatch 3 i2 warm
  )");
}

// Three requests of 1 s and a start of 10 s are known: the line is shorter than another start.
TEST(PlannerTable, WaitsInLineWhereThatIsShorterThanAStart) {
  check(R"(
    0    | function f freeze=never |
    0    | arrive 1 f             | start i1 (no instance)
    10   | ready i1               | dispatch 1 i1 cold (no instance)
    11   | end 1                  |
    11   | arrive 2 f             | dispatch 2 i1 warm
    12   | end 2                  |
    12   | arrive 3 f             | dispatch 3 i1 warm
    13   | end 3                  |
    20   | arrive 4 f             | dispatch 4 i1 warm
    20   | arrive 5 f             |
    20.5 | arrive 6 f             |
    21   | end 4                  | dispatch 5 i1 warm (the 1 instance is full; waited in line: 1.0 s a request, 10 s a start)
    22   | end 5                  | dispatch 6 i1 warm (the 1 instance is full; waited in line: 1.0 s a request, 10 s a start)
  )");
}

TEST(PlannerTable, BurstAndGrowthBoundHowFastAnAccountStarts) {
  PlannerConfig config;
  config.startBurst = 2;
  config.startGrowth = 6;
  check(R"(
    0    | function f              |
    0    | function g              |
    0    | arrive 1 f              | start i1 (no instance)
    0    | arrive 2 g              | start i2 (no instance)
    0    | arrive 3 f wait=9       |
    1    | arrive 4 g wait=30      |
    9    | timer                   | refuse 3 ResourceExhausted (account quota 'burst' is used up: 2 of 2 instances started at once; quota 'growth' admits 6 more per minute)
    10   | timer                   | start i3 (2 queued, 1 starting; waited: account quotas 'burst' and 'growth' were used up)
  )",
        config);
}

TEST(PlannerTable, SliceGoesToTheCardItFillsBest) {
  check(R"(
    0 | card a T 16               |
    0 | card b T 8                |
    0 | card c T 12               |
    0 | function f gpu=T:8        |
    0 | function g gpu=T:4        |
    0 | function h gpu=U:1        |
    0 | arrive 1 f                | start i1 c2:8 (no instance)
    0 | arrive 2 g                | start i2 c3:4 (no instance)
    0 | arrive 3 f                | start i3 c3:8 (2 queued, 1 starting)
  )");
}

TEST(PlannerTable, WaitsForACardAndSaysSo) {
  check(R"(
    0    | card a T 16            |
    0    | function f gpu=T:16    |
    0    | arrive 1 f             | start i1 c1:16 (no instance)
    0.1  | ready i1               | dispatch 1 i1 cold (no instance)
    0.2  | arrive 2 f wait=3      |
    0.3  | arrive 3 f wait=9      |
    3.2  | timer                  | refuse 2 ResourceThrottled (all cards of T are full: 16 of 16 GB in use on 1 card)
    4    | end 1                  | dispatch 3 i1 warm (the 1 instance is full)
  )");
}

TEST(PlannerTable, FunctionWithoutAnyCardIsRefusedAtItsDeadline) {
  check(R"(
    0    | function h gpu=U:1     |
    0    | arrive 1 h wait=2      |
    2    | timer                  | refuse 1 ResourceThrottled (there is no card of U)
  )");
}

TEST(PlannerTable, IdleInstancesMakeRoomLongestIdleFirstAndTheSliceIsFreeOnlyWhenTheyAreGone) {
  check(R"(
    0    | card a T 16            |
    0    | function f gpu=T:8 freeze=never |
    0    | function g gpu=T:8 freeze=never |
    0    | function h gpu=T:8     |
    0    | arrive 1 f             | start i1 c1:8 (no instance)
    0    | arrive 2 g             | start i2 c1:8 (no instance)
    0.1  | ready i1               | dispatch 1 i1 cold (no instance)
    0.1  | ready i2               | dispatch 2 i2 cold (no instance)
    0.2  | end 2                  |
    0.3  | end 1                  |
    0.4  | arrive 3 h             | stop i2 made room
    0.5  | gone i2                | start i3 c1:8 (no instance)
    0.6  | ready i3               | dispatch 3 i3 cold (no instance)
  )");
}

TEST(PlannerTable, EvictsNoMoreThanNeeded) {
  check(R"(
    0    | card a T 16            |
    0    | function f gpu=T:2 freeze=never |
    0    | function g gpu=T:14 freeze=never |
    0    | function h gpu=T:10    |
    0    | arrive 1 f             | start i1 c1:2 (no instance)
    0    | arrive 2 g             | start i2 c1:14 (no instance)
    0.1  | ready i1               | dispatch 1 i1 cold (no instance)
    0.1  | ready i2               | dispatch 2 i2 cold (no instance)
    0.2  | end 1                  |
    0.3  | end 2                  |
    0.4  | arrive 3 h             | stop i2 made room
  )");
}

TEST(PlannerTable, StartNotYetIssuedIsWithdrawn) {
  check(R"(
    0    | card a T 16            |
    0    | function f gpu=T:16 freeze=never |
    0    | function g gpu=T:16    |
    0    | arrive 1 f             | start i1 c1:16 (no instance)
    0.1  | ready i1               | dispatch 1 i1 cold (no instance)
    0.2  | end 1                  |
    0.3  | arrive 2 g             | stop i1 made room
    0.4  | cancel 2               |
    0.5  | gone i1                |
  )");
}

TEST(PlannerTable, FunctionsGetCardsInOrderOfTheirRequests) {
  check(R"(
    0    | card a T 16            |
    0    | function f gpu=T:16 freeze=never |
    0    | function g gpu=T:16 freeze=never |
    0    | function h gpu=T:16 freeze=never |
    0    | arrive 1 f             | start i1 c1:16 (no instance)
    0.1  | ready i1               | dispatch 1 i1 cold (no instance)
    0.2  | arrive 2 h             |
    0.3  | arrive 3 g             |
    0.4  | end 1                  | stop i1 made room
    0.5  | gone i1                | start i2 c1:16 (no instance; waited: no card of T had room)
    0.6  | ready i2               | dispatch 2 i2 cold (no instance; waited: no card of T had room)
    0.7  | end 2                  | stop i2 made room
  )");
}

TEST(PlannerTable, EndlessTrafficYieldsToWhoHasWaitedLong) {
  check(R"(
    0    | card a T 16            |
    0    | function f gpu=T:16 conc=2 |
    0    | function g gpu=T:16    |
    0    | arrive 1 f             | start i1 c1:16 (no instance)
    0    | arrive 2 f             |
    0.1  | ready i1               | dispatch 1 i1 cold (no instance), dispatch 2 i1 cold (no instance)
    1    | arrive 3 g             |
    10   | end 1                  |
    10.5 | arrive 4 f             | dispatch 4 i1 warm
    11   | timer                  |
    12   | end 2                  |
    12   | arrive 5 f             |
    13   | end 4                  | stop i1 yielded
    13.1 | gone i1                | start i2 c1:16 (no instance; waited: no card of T had room)
  )");
}

TEST(PlannerTable, QuotaIsNamedWithItsLimitAndUse) {
  PlannerConfig config;
  config.cardQuota = 2;
  check(R"(
    0    | card a T 16            |
    0    | function f gpu=T:1     |
    0    | function other gpu=T:1 account=b |
    0    | arrive 1 f             | start i1 c1:1 (no instance)
    0    | arrive 2 f             | start i2 c1:1 (2 queued, 1 starting)
    0.1  | ready i1               | dispatch 1 i1 cold (no instance)
    0.1  | ready i2               | dispatch 2 i2 cold (2 queued, 1 starting)
    0.2  | arrive 3 f wait=2      |
    0.2  | arrive 4 f wait=5      |
    0.2  | arrive 5 other         | start i3 c1:1 (no instance)
    2.2  | timer                  | refuse 3 ResourceExhausted (account quota 'GPU cards' is used up: 2 of 2)
    3    | end 2                  | dispatch 4 i2 warm (all 2 instances full)
  )",
        config);
}

TEST(PlannerTable, IdleInstancesOfTheAccountMakeRoomUnderQuota) {
  PlannerConfig config;
  config.instanceQuota = 1;
  check(R"(
    0    | function f freeze=never |
    0    | function g             |
    0    | arrive 1 f             | start i1 (no instance)
    0.1  | ready i1               | dispatch 1 i1 cold (no instance)
    0.2  | arrive 2 g             |
    0.3  | end 1                  | stop i1 made room
    0.4  | gone i1                | start i2 (no instance; waited: account quota 'instances' was used up)
  )",
        config);
}

TEST(PlannerTable, FullQueueRefusesAtOnce) {
  PlannerConfig config;
  config.queuePerFunction = 1;
  check(R"(
    0 | function f                |
    0 | arrive 1 f                | start i1 (no instance)
    0 | arrive 2 f                | refuse 2 ResourceExhausted (queue of function 'f' is full: 1 of 1 requests)
  )",
        config);
}

TEST(PlannerTable, RequestWhoseInstanceStartsIsNotRefusedByTheQueueDeadline) {
  check(R"(
    0  | function f               |
    0  | arrive 1 f wait=2        | start i1 (no instance)
    2  | timer                    |
    30 | ready i1                 | dispatch 1 i1 cold (no instance)
  )");
}

TEST(PlannerTable, StartFailureAnswersAsManyAsTheInstanceWouldHaveServed) {
  PlannerConfig config;
  config.instanceQuota = 1;
  check(R"(
    0    | function f conc=2      |
    0    | arrive 1 f             | start i1 (no instance)
    0    | arrive 2 f             |
    0    | arrive 3 f             |
    0.1  | failed i1 exec: no     | stop i1 start failed no-hook, refuse 1 FunctionNotStarted (exec: no), refuse 2 FunctionNotStarted (exec: no)
    0.2  | gone i1                | start i2 (no instance; waited: account quota 'instances' was used up)
    0.3  | gone i2 exited         | refuse 3 FunctionNotStarted (exited)
  )",
        config);
}

TEST(PlannerTable, FunctionThatKeepsFailingStartsOneAtATime) {
  PlannerConfig config;
  config.startFailuresInRow = 1;
  check(R"(
    0    | function f             |
    0    | arrive 1 f             | start i1 (no instance)
    0.1  | gone i1 bad            | refuse 1 FunctionNotStarted (bad)
    0.2  | arrive 2 f             | start i2 (no instance)
    0.2  | arrive 3 f             |
    0.2  | arrive 4 f             |
    0.3  | gone i2 bad            | refuse 2 FunctionNotStarted (bad), refuse 3 FunctionNotStarted (bad), refuse 4 FunctionNotStarted (bad)
    0.4  | arrive 5 f             | start i3 (no instance)
    0.4  | arrive 6 f             |
    0.5  | ready i3               | dispatch 5 i3 cold (no instance), start i4 (the 1 instance is full)
  )",
        config);
}

TEST(PlannerTable, ReplacedWhileItsKeptInstanceIsCalledBack) {
  check(R"(
    0    | card c T 16            |
    0    | function f gpu=T:10 idle=600 freeze=never park=10 |
    0    | function g gpu=T:10 idle=600 freeze=never |
    0    | arrive 1 f             | start i1 c1:10 (no instance)
    1    | ready i1               | dispatch 1 i1 cold (no instance)
    2    | end 1                  |
    12   | timer                  | park i1
    13   | parked i1              |
    14   | keep f 1 frozen        |
    15   | arrive 2 g             | start i2 c1:10 (no instance)
    16   | ready i2               | dispatch 2 i2 cold (no instance)
    17   | arrive 3 f             |
    18   | end 2                  | stop i2 made room
    19   | function h gpu=T:10 replaces=f | stop i1 minimum lowered no-hook
    20   | gone i1                |
    21   | gone i2                | start i3 c1:10 (no instance)
    22   | ready i3               | dispatch 3 i3 cold (no instance)
  )",
        {.hostMemory = Bytes::gib(10)});
}

TEST(PlannerTable, WhoIsParkedIsWokenThoughStartsKeepFailing) {
  PlannerConfig config = parking();
  config.startFailuresInRow = 1;
  check(R"(
    0    | card c T 16            |
    0    | function f gpu=T:8 idle=600 freeze=never park=10 |
    0    | arrive 1 f             | start i1 c1:8 (no instance)
    1    | ready i1               | dispatch 1 i1 cold (no instance)
    2    | arrive 2 f             | start i2 c1:8 (the 1 instance is full)
    3    | gone i2 bad            | refuse 2 FunctionNotStarted (bad)
    4    | end 1                  |
    14   | timer                  | park i1
    14.1 | arrive 3 f             |
    14.2 | arrive 4 f             | start i3 c1:8 (no instance; 1 parked)
    15   | parked i1              | wake i1 c1:8
    16   | woken i1               | dispatch 3 i1 woken (2 queued, 1 starting; 1 parked)
    17   | gone i3 bad            | refuse 4 FunctionNotStarted (bad)
  )",
        config);
}

TEST(PlannerTable, CrashAbortsItsRequestsAndTheQueueGetsANewInstance) {
  PlannerConfig config;
  config.instanceQuota = 1;
  check(R"(
    0    | function f             |
    0    | arrive 1 f             | start i1 (no instance)
    0.1  | ready i1               | dispatch 1 i1 cold (no instance)
    0.2  | arrive 2 f             |
    0.3  | gone i1 killed         | abort 1 i1 (killed), start i2 (no instance; waited: account quota 'instances' was used up)
    0.3  | end 1                  |
  )",
        config);
}

TEST(PlannerTable, UnhealthyInstanceGetsNoNewRequestsUntilItIsWellAgain) {
  check(R"(
    0    | function f conc=2 idle=10 |
    0    | arrive 1 f             | start i1 (no instance)
    0.1  | ready i1               | dispatch 1 i1 cold (no instance)
    0.2  | ailing i1              |
    0.3  | arrive 2 f             | start i2 (the 1 instance is unhealthy)
    0.4  | well i1                | dispatch 2 i1 warm (the 1 instance is full)
    0.5  | ready i2               |
    0.6  | ailing i1              |
    0.7  | arrive 3 f             | dispatch 3 i2 warm
    0.8  | end 1                  |
    0.8  | end 2                  |
    1.8  | timer                  | freeze i1
    2    | end 3                  |
    3    | timer                  | freeze i2
    4    | ailing i2              |
    5    | arrive 4 f             | start i3 (all 2 instances full or unhealthy (2))
  )");
}

TEST(PlannerTable, BrokenAndAbandonedInstancesGetNoMoreRequests) {
  check(R"(
    0    | function f conc=2 replace-abandoned |
    0    | arrive 1 f             | start i1 (no instance)
    0    | arrive 2 f             |
    0.1  | ready i1               | dispatch 1 i1 cold (no instance), dispatch 2 i1 cold (no instance)
    0.2  | end 1 broken           |
    0.3  | arrive 3 f             | start i2 (no instance)
    0.4  | end 2                  | stop i1 broken no-hook
    0.5  | ready i2               | dispatch 3 i2 cold (no instance)
    0.6  | cancel 3               | stop i2 request abandoned
    0.7  | arrive 4 f             | start i3 (no instance)
    0.8  | ready i3               | dispatch 4 i3 cold (no instance)
    0.9  | end 4 timeout          | stop i3 request abandoned
  )");
}

TEST(PlannerTable, ReplacedRevisionHandsItsQueueOver) {
  check(kSecondComes + R"(
    0.3  | function f2 replaces=f | stop i2 revision retired no-hook, start i3 (no instance)
    0.4  | ready i2               |
    0.5  | ready i3               | dispatch 2 i3 cold (no instance)
    0.6  | end 1                  | stop i1 revision retired
    0.7  | gone i1                |
    0.7  | gone i2                |
    0.8  | arrive 3 f             | refuse 3 FunctionNotFound (the function does not exist)
  )");
}

TEST(PlannerTable, DeletedFunctionRefusesItsQueueAndDrains) {
  check(kSecondComes + R"(
    0.3  | retire f               | refuse 2 FunctionNotFound (function 'f' was deleted), stop i2 revision retired no-hook
    0.4  | end 1                  | stop i1 revision retired
  )");
}

TEST(PlannerTable, LostCardIsEmptiedAndTheQueueGoesElsewhere) {
  check(R"(
    0    | card a T 8             |
    0    | function f gpu=T:8     |
    0    | arrive 1 f             | start i1 c1:8 (no instance)
    0    | card b T 16            |
    0.1  | lose a                 | stop i1 card lost no-hook, start i2 c2:8 (no instance)
    0.2  | ready i2               | dispatch 1 i2 cold (no instance)
    0.3  | lose b                 |
    0.4  | end 1                  | stop i2 card lost no-hook
  )");
}

TEST(PlannerTable, ShutdownFinishesWhatItHasAndRefusesTheRest) {
  check(R"(
    0    | function f freeze=never |
    0    | function g             |
    0    | arrive 1 f             | start i1 (no instance)
    0.1  | ready i1               | dispatch 1 i1 cold (no instance)
    0.2  | end 1                  |
    0.3  | arrive 2 g             | start i2 (no instance)
    0.4  | drain                  | stop i1 shutdown
    0.5  | arrive 3 f             | refuse 3 Unavailable (okibi is shutting down)
    0.6  | ready i2               | dispatch 2 i2 cold (no instance)
    0.7  | end 2                  | stop i2 shutdown
  )");
}

TEST(PlannerTable, LostRuntimeAbortsAndTheQueueWaitsForIt) {
  check(kSecondComes + R"(
    0.3  | lost                   | abort 1 i1 (launcher ended)
    0.4  | arrive 3 f wait=1      |
    1.4  | timer                  | refuse 3 Unavailable (the instance runtime is down)
    2    | restored               | start i3 (no instance; waited: the instance runtime was down)
    2.1  | gone i2                |
  )");
}

PlannerConfig oneTurn() {
  PlannerConfig config;
  config.cardTurns = 1;
  return config;
}

TEST(PlannerTable, OneInstanceOfACardComputesAtATime) {
  check(R"(
    0    | card c1 T 16           |
    0    | function f gpu=T:4     |
    0    | function g gpu=T:4     |
    0    | arrive 1 f             | start i1 c1:4 (no instance)
    0    | arrive 2 g             | start i2 c1:4 (no instance)
    1    | ready i1               | dispatch 1 i1 cold (no instance)
    1    | ready i2               |
    2    | end 1                  | dispatch 2 i2 cold (no instance; waited for its turn on the card)
    2.5  | arrive 3 f             |
    3    | end 2                  | dispatch 3 i1 warm (waited for its turn on the card)
    4    | timer                  | freeze i2
    5    | arrive 4 g wait=1      | thaw i2
    6    | timer                  | refuse 4 ResourceThrottled (card 1 was busy until the queue deadline: cardTurns is 1, 1 instances wait)
    6.5  | arrive 5 g             |
    6.6  | cancel 5               |
    6.7  | arrive 6 g             |
    7    | end 3                  | dispatch 6 i2 warm (waited for its turn on the card)
  )",
        oneTurn());
}

TEST(PlannerTable, TheInstanceWhoseTurnItIsTakesMoreUntilAnotherHasHadLess) {
  check(R"(
    0    | card c1 T 16           |
    0    | function f gpu=T:4 conc=4 |
    0    | function g gpu=T:4     |
    0    | arrive 1 f             | start i1 c1:4 (no instance)
    0    | arrive 2 g             | start i2 c1:4 (no instance)
    1    | ready i1               | dispatch 1 i1 cold (no instance)
    2    | arrive 3 f             | dispatch 3 i1 warm
    2    | ready i2               |
    3    | arrive 4 f             |
    4    | end 1                  |
    5    | end 3                  | dispatch 2 i2 cold (no instance; waited for its turn on the card)
    6    | end 2                  | dispatch 4 i1 warm (waited for its turn on the card)
  )",
        oneTurn());
}

TEST(PlannerTable, WhoWaitsForATurnGoesToAFreeCardOfItsOwn) {
  check(R"(
    0    | card c1 T 4            |
    0    | card c2 T 8            |
    0    | function f gpu=T:4     |
    0    | function g gpu=T:4     |
    0    | arrive 1 f             | start i1 c1:4 (no instance)
    0    | arrive 2 f             | start i2 c2:4 (2 queued, 1 starting)
    0    | arrive 3 g             | start i3 c2:4 (no instance)
    1    | ready i1               | dispatch 1 i1 cold (no instance)
    1    | ready i3               | dispatch 3 i3 cold (no instance)
    1    | ready i2               |
    2    | end 1                  | dispatch 2 i1 cold (2 queued, 1 starting; waited for its turn on the card)
  )",
        oneTurn());
}

TEST(PlannerTable, WhoWaitsForATurnOfAnInstanceThatEndsIsServedElsewhere) {
  check(R"(
    0    | card c1 T 8            |
    0    | function f gpu=T:4     |
    0    | function g gpu=T:4     |
    0    | arrive 1 f             | start i1 c1:4 (no instance)
    0    | arrive 2 g             | start i2 c1:4 (no instance)
    1    | ready i1               | dispatch 1 i1 cold (no instance)
    1    | ready i2               |
    2    | gone i2 crashed        | start i3 c1:4 (no instance)
    3    | end 1                  |
    3    | ready i3               | dispatch 2 i3 cold (no instance)
    3.5  | arrive 3 f             |
    3.6  | retire f               | refuse 3 FunctionNotFound (function 'f' was deleted), stop i1 revision retired
  )",
        oneTurn());
}

// What c gives back goes to b, though a has waited longer: for its new weight b holds less.
TEST(PlannerTable, AChangedWeightMovesWhoWaits) {
  PlannerConfig config;
  config.scaleOut = ScaleOut::PerRequest;
  const std::string waiting = R"(
    0    | card c1 T 24                 |
    0    | function a gpu=T:8           |
    0    | function b gpu=T:8           |
    0    | function c gpu=T:8           |
    0    | arrive 1 a                   | start i1 c1:8 (no instance)
    0    | arrive 2 b                   | start i2 c1:8 (no instance)
    0    | arrive 3 c                   | start i3 c1:8 (no instance)
    0.1  | ready i1                     | dispatch 1 i1 cold (no instance)
    0.1  | ready i2                     | dispatch 2 i2 cold (no instance)
    0.1  | ready i3                     | dispatch 3 i3 cold (no instance)
    1    | arrive 4 a                   |
    2    | arrive 5 b                   |
  )";
  const std::string why = "the 1 instance is full; waited: no card of T had room";
  const std::string given =
      "3.5 | end 3 | stop i3 made room\n3.6 | gone i3 | start i4 c1:8 (" + why + ")\n";
  const std::string first = "3.7 | ready i4 | dispatch 4 i4 cold (" + why + ")";
  check(waiting + given + first, config);
  const std::string other = "3.7 | ready i4 | dispatch 5 i4 cold (" + why + ")\n";
  const std::string then = "4 | end 5 | stop i4 made room\n4.1 | gone i4 | start i5 c1:8 (" + why +
                           ", 1 start of another came first)";
  check(waiting + "3 | weigh b 3 |\n" + given + other + then, config);
}

// Two functions that always have a request waiting share a card by their slices.
TEST(PlannerTable, MinimumIsKeptServesFirstAndOverflowGoesOnDemand) {
  check(R"(
    0    | function f idle=9      |
    0    | keep f 1               | start i1 (minimum is 1)
    0.1  | ready i1               |
    50   | arrive 1 f             | dispatch 1 i1 warm
    50   | arrive 2 f             | start i2 (the 1 instance is full)
    50.1 | ready i2               | dispatch 2 i2 cold (the 1 instance is full)
    51   | end 1                  |
    51   | end 2                  |
    52   | timer                  | freeze i2
    60   | timer                  | thaw i2, stop i2 idle timeout
    60.1 | gone i2                |
    99   | arrive 3 f             | dispatch 3 i1 warm
    99.5 | end 3                  |
    99.6 | gone i1 crashed        | start i3 (minimum is 1)
    100  | ready i3               |
    101  | keep f 0               | stop i3 minimum lowered
  )");
}

TEST(PlannerTable, KeptInstancesRestFrozenWhereTheyMay) {
  check(R"(
    0    | function f idle=9      |
    0    | keep f 1 frozen        | start i1 (minimum is 1)
    0.1  | ready i1               |
    1.1  | timer                  | freeze i1
    90   | arrive 1 f             | thaw i1, dispatch 1 i1 thawed
    90.5 | end 1                  |
  )");
}

TEST(PlannerTable, KeptInstancesDoNotMakeRoom) {
  check(R"(
    0    | card a T 8                    |
    0    | function f gpu=T:8 freeze=never |
    0    | function g gpu=T:8 freeze=never |
    0    | keep f 1                      | start i1 c1:8 (minimum is 1)
    0.1  | ready i1                      |
    1    | arrive 1 g wait=2             |
    3    | timer                         | refuse 1 ResourceThrottled (all cards of T are full: 8 of 8 GB in use on 1 card)
  )");
}

TEST(PlannerTable, KeptOnlyServesFromTheMinimumAndStartsNothing) {
  check(R"(
    0    | function f kept-only freeze=never |
    0    | arrive 1 f   | refuse 1 ResourceExhausted (function 'f' has no provisioned instances, and disableOndemand forbids others)
    1    | keep f 1     | start i1 (minimum is 1)
    1.1  | arrive 2 f   |
    1.2  | ready i1     | dispatch 2 i1 cold (minimum is 1)
    1.3  | arrive 3 f   |
    1.4  | end 2        | dispatch 3 i1 warm (the 1 instance is full)
  )");
}

TEST(PlannerTable, FailingStartsForTheMinimumAreTriedAgainLater) {
  check(R"(
    0    | function f            |
    0    | keep f 1              | start i1 (minimum is 1)
    0.1  | failed i1 no          | stop i1 start failed no-hook
    0.2  | gone i1               |
    1.1  | timer                 | start i2 (minimum is 1)
    1.2  | failed i2 no          | stop i2 start failed no-hook
    1.3  | gone i2               |
    3.2  | timer                 | start i3 (minimum is 1)
    3.3  | ready i3              |
  )");
}

TEST(PlannerTable, CapCountsAllRevisionsAndSaysSo) {
  check(R"(
    0    | function f freeze=never |
    0    | cap f 1                 |
    0    | arrive 1 f              | start i1 (no instance)
    0.1  | ready i1                | dispatch 1 i1 cold (no instance)
    0.2  | arrive 2 f wait=1       |
    1.2  | timer                   | refuse 2 ResourceExhausted (function 'f' is at its concurrency configuration: 1 of 1 instances)
    1.3  | arrive 3 f              |
    1.4  | cap f none              | start i2 (the 1 instance is full)
  )");
}

TEST(PlannerShares, EndlessTrafficIsServedInProportionToTheSlices) {
  PlannerConfig config = oneTurn();
  Planner planner(config);
  std::vector<Command> commands;
  Instant now{};
  const auto step = [&](const Event& event) { planner.step(now, event, commands); };
  step(CardAdded{{CardId(1), "SIM", "T", Bytes::gib(16), CardOrigin::Simulated}});
  for (std::uint64_t key = 1; key <= 2; ++key) {
    FunctionPlan plan;
    plan.key = FunctionKey(key);
    plan.name = plan.account = "a";
    plan.concurrency = 2;
    plan.gpu = GpuConfig{"T", Bytes::gib(key == 1 ? 9 : 3)};
    step(FunctionAdded{plan, std::nullopt});
  }
  std::uint64_t last = 0;
  std::map<InvocationId, std::uint64_t> functions;
  const auto arrive = [&](std::uint64_t key) {
    functions[InvocationId(++last)] = key;
    step(InvocationArrived{InvocationId(last), FunctionKey(key), now + 3600s});
  };
  for (std::uint64_t key : {1, 1, 2, 2}) arrive(key);
  step(InstanceReady{InstanceId(1)});
  step(InstanceReady{InstanceId(2)});
  std::map<std::uint64_t, Duration> served;
  std::vector<InvocationId> running;
  for (int round = 0; round < 2000; ++round) {
    for (const Command& command : std::exchange(commands, {})) {
      if (const auto* d = std::get_if<Dispatch>(&command)) running.push_back(d->invocation);
    }
    ASSERT_FALSE(running.empty());
    const std::uint64_t key = functions.at(running.front());
    // Requests of the small slice are longer: it is time that is shared, not turns.
    const Duration took = key == 1 ? Duration(100ms) : Duration(250ms);
    now += took;
    served[key] += took;
    const InvocationId ended = running.front();
    running.erase(running.begin());
    step(InvocationEnded{ended, Outcome::Completed});
    arrive(key);
    planner.checkInvariants();
  }
  EXPECT_NEAR(toMilliseconds(served[1]) / toMilliseconds(served[2]), 3.0, 0.1);
}

}  // namespace
}  // namespace okibi::planner
