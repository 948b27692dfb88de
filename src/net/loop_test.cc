#include "net/loop.h"

#include <csignal>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "net/both.h"
#include "net/deadline.h"
#include "net/event.h"
#include "net/testing.h"
#include "net/virtual_clock.h"

namespace okibi::net {
namespace {

using testing::runOn;

TEST(Loop, PostsFromOtherThreadsRunInOrderOnTheLoopThread) {
  Loop loop;
  std::vector<int> order;
  std::thread::id where;
  std::thread other([&] {
    for (int i = 0; i < 3; ++i) loop.post([&, i] { order.push_back(i); });
    loop.post([&] {
      where = std::this_thread::get_id();
      loop.stop();
    });
  });
  loop.run();
  other.join();
  EXPECT_EQ(order, (std::vector{0, 1, 2}));
  EXPECT_EQ(where, std::this_thread::get_id());
}

TEST(Loop, OffloadRunsElsewhereAndBringsBackMoveOnlyResults) {
  Loop loop(2);
  runOn(loop, [&]() -> Task<void> {
    std::thread::id worker;
    std::unique_ptr<int> made = co_await loop.offload([&] {
      worker = std::this_thread::get_id();
      return std::make_unique<int>(7);
    });
    EXPECT_EQ(*made, 7);
    EXPECT_NE(worker, std::this_thread::get_id());
    bool ran = false;
    co_await loop.offload([&ran] { ran = true; });
    EXPECT_TRUE(ran);
  });
}

TEST(Loop, SignalHandlersRunOnTheLoopEachTime) {
  Loop loop;
  int seen = 0;
  loop.onSignal(SIGUSR1, [&] {
    if (++seen == 2) loop.stop();
    if (seen == 1) ::kill(::getpid(), SIGUSR1);
  });
  ::kill(::getpid(), SIGUSR1);
  loop.run();
  EXPECT_EQ(seen, 2);
}

TEST(Timer, CancelledAndReplacedSchedulesNeverFire) {
  Loop loop;
  std::string fired;
  Timer a(loop), b(loop), end(loop);
  a.schedule(loop.now(), [&] { fired += "cancelled "; });
  a.cancel();
  b.schedule(loop.now(), [&] { fired += "replaced "; });
  b.schedule(loop.now() + 1ms, [&] { fired += "b "; });
  {
    Timer gone(loop);
    gone.schedule(loop.now(), [&] { fired += "destroyed "; });
  }
  EXPECT_FALSE(a.scheduled());
  EXPECT_TRUE(b.scheduled());
  end.schedule(loop.now() + 5ms, [&] { loop.stop(); });
  loop.run();
  EXPECT_EQ(fired, "b ");
}

TEST(OneShot, GivesTheValueWhetherItComesBeforeOrAfterTheWait) {
  Loop loop;
  runOn(loop, [&]() -> Task<void> {
    OneShot<std::string> early(loop), late(loop);
    early.set("early");
    Result<std::string> first = co_await early.wait();
    EXPECT_EQ(first.value(), "early");
    loop.post([&] { late.set("late"); });
    Result<std::string> second = co_await late.wait();
    EXPECT_EQ(second.value(), "late");
  });
}

TEST(OneShot, TimesOutAndIsCancelled) {
  Loop loop;
  runOn(loop, [&]() -> Task<void> {
    OneShot<int> never(loop), cancelled(loop);
    Result<int> first = co_await never.wait(loop.now() + 1ms);
    EXPECT_EQ(first.error().kind, ErrorKind::TimedOut);
    loop.post([&] { cancelled.cancel(); });
    Result<int> second = co_await cancelled.wait();
    EXPECT_EQ(second.error().kind, ErrorKind::Cancelled);
    cancelled.cancel();
  });
}

struct Marker {
  explicit Marker(bool& gone) : gone(&gone) {}
  ~Marker() { *gone = true; }
  bool* gone;
};

Task<Result<int>> sleepyNumber(Loop& loop, Duration nap, bool& gone) {
  Marker marker(gone);
  co_await loop.sleep(nap);
  co_await loop.sleep(nap);
  co_return 5;
}

TEST(Deadline, ATaskInTimeGivesItsResult) {
  Loop loop;
  runOn(loop, [&]() -> Task<void> {
    bool gone = false;
    Result<int> n = co_await withDeadline(loop, sleepyNumber(loop, 1us, gone), loop.now() + 10s);
    EXPECT_EQ(n.value(), 5);
  });
}

TEST(Deadline, ALateTaskIsUnwoundBeforeTheReturn) {
  Loop loop;
  runOn(loop, [&]() -> Task<void> {
    bool gone = false;
    Result<int> n = co_await withDeadline(loop, sleepyNumber(loop, 1h, gone), loop.now() + 1ms);
    EXPECT_EQ(n.error().kind, ErrorKind::TimedOut);
    EXPECT_TRUE(gone);
    // The awaiting task itself goes on unharmed.
    co_await loop.sleep(1us);
  });
}

TEST(Deadline, AnOuterDeadlineUnwindsBothOfTwoTasks) {
  Loop loop;
  runOn(loop, [&]() -> Task<void> {
    bool firstGone = false, secondGone = false;
    auto nap = [](Loop& l, bool& gone) -> Task<void> {
      Marker marker(gone);
      co_await l.sleep(1h);
    };
    Result<void> end = co_await withDeadline(
        loop, both(loop, nap(loop, firstGone), nap(loop, secondGone)), loop.now() + 1ms);
    EXPECT_EQ(end.error().kind, ErrorKind::TimedOut);
    EXPECT_TRUE(firstGone && secondGone);
  });
}

TEST(Loop, UnfinishedTasksAreDroppedWithTheLoop) {
  bool gone = false;
  {
    Loop loop;
    auto nap = [](Loop& l, bool& mark) -> Task<void> {
      Marker marker(mark);
      co_await l.sleep(1h);
    };
    loop.spawn(nap(loop, gone));
    loop.post([&] { loop.stop(); });
    loop.run();
    EXPECT_FALSE(gone);
  }
  EXPECT_TRUE(gone);
}

TEST(VirtualClock, HoursOfWaitingKeepTheirOrderAndCostNothing) {
  VirtualClock clock;
  Loop loop(1, &clock);
  const Instant start = loop.now();
  std::string order;
  Timer early(loop), late(loop), never(loop);
  late.schedule(start + 2h, [&] { order += "late "; });
  early.schedule(start + 1h, [&] { order += "early "; });
  never.schedule(start + 90min, [&] { order += "never "; });
  runOn(loop, [&]() -> Task<void> {
    co_await loop.sleep(30min);
    never.cancel();
    order += "slept ";
    Event event(loop);
    const Result<void> waited = co_await event.wait(start + 3h);
    EXPECT_EQ(waited.error().kind, ErrorKind::TimedOut);
  });
  EXPECT_EQ(order, "slept early late ");
  EXPECT_EQ(loop.now(), start + 3h);
}

TEST(VirtualClock, StandsStillForWorkersAndSockets) {
  VirtualClock clock;
  Loop loop(1, &clock);
  const Instant start = loop.now();
  Timer alarm(loop);
  alarm.schedule(start + 1h, [] {});
  runOn(loop, [&]() -> Task<void> {
    auto [one, other] = testing::socketPair();
    Socket reader(loop, std::move(one)), writer(loop, std::move(other));
    char buffer[4];
    co_await writer.write("abc");
    EXPECT_EQ(*co_await reader.read(buffer), 3u);
    // Longer than the loop waits before it moves the time.
    co_await loop.offload([] { std::this_thread::sleep_for(20ms); });
    EXPECT_EQ(loop.now(), start);
  });
}

TEST(VirtualClock, DeadlinesRaceOnIt) {
  VirtualClock clock;
  Loop loop(1, &clock);
  runOn(loop, [&]() -> Task<void> {
    const Instant start = loop.now();
    auto sleeps = [&](Duration d) -> Task<Result<int>> {
      co_await loop.sleep(d);
      co_await loop.sleep(0s);  // a cancelled task ends at its next wait
      co_return 7;
    };
    const Result<int> late = co_await withDeadline(loop, sleeps(2s), start + 1s);
    EXPECT_FALSE(late);
    EXPECT_EQ(loop.now(), start + 1s);
    EXPECT_EQ(*co_await withDeadline(loop, sleeps(1s), start + 5s), 7);
    EXPECT_EQ(loop.now(), start + 2s);
    clock.advance(10min);
    EXPECT_EQ(loop.now(), start + 2s + 10min);
  });
}

}  // namespace
}  // namespace okibi::net
