#include "conductor/async_queue.h"

#include <gtest/gtest.h>

#include "conductor/timer_triggers.h"
#include "seams/fake_state_store.h"

namespace okibi::conductor {
namespace {

using namespace std::chrono_literals;

seams::AsyncEvent eventOf(std::string requestId) {
  seams::AsyncEvent event;
  event.function = {"acc", "f"};
  event.requestId = std::move(requestId);
  event.expires = WallTime::max();
  event.maxRetries = 3;
  return event;
}

TEST(AfterAttempt, FunctionErrorsAreTriedAsOftenAsConfigured) {
  seams::AsyncEvent event = eventOf("1");
  int tries = 1;
  std::vector<std::int64_t> pauses;
  WallTime now{};
  while (auto again = afterAttempt(event, AttemptResult::FunctionFailed, now)) {
    pauses.push_back((again->due - now).count());
    now = again->due;
    event = *again;
    ++tries;
  }
  EXPECT_EQ(tries, 4);
  EXPECT_EQ(pauses, (std::vector<std::int64_t>{500, 1000, 2000}));
}

TEST(AfterAttempt, ThrottledOnesAreTriedForFiveHoursAndAgeEndsAll) {
  seams::AsyncEvent event = eventOf("1");
  WallTime now{};
  int tries = 0;
  while (auto again = afterAttempt(event, AttemptResult::NotReached, now)) {
    EXPECT_LE(again->due - now, 5min);
    now = again->due;
    event = *again;
    ++tries;
  }
  EXPECT_GE(now - event.enqueued, 5h);
  EXPECT_GT(tries, 60);
  event = eventOf("2");
  event.expires = WallTime(400ms);
  EXPECT_FALSE(afterAttempt(event, AttemptResult::NotReached, WallTime{}));
  EXPECT_FALSE(afterAttempt(eventOf("3"), AttemptResult::Hopeless, WallTime{}));
}

class AsyncQueueTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(store_.addAccount({"acc", {}}));
    Function function;
    function.ref = {"acc", "f"};
    ASSERT_TRUE(store_.putFunction(function));
  }
  // Runs until `done`; half a minute says that it never will be.
  void run(net::Loop& loop, const std::function<bool()>& done) {
    loop.spawn([](net::Loop& l, const std::function<bool()>& d) -> net::Task<void> {
      for (int i = 0; i < 6'000 && !d(); ++i) co_await l.sleep(5ms);
      l.stop();
    }(loop, done));
    loop.run();
  }

  seams::FakeStateStore store_;
};

TEST_F(AsyncQueueTest, TriesAgainUntilTheFunctionAnswersAndForgets) {
  net::Loop loop;
  std::vector<std::string> seen;
  {
    AsyncQueue queue(loop, store_);
    ASSERT_TRUE(queue.load());
    queue.start([&](seams::AsyncEvent event, std::string payload) -> net::Task<AttemptResult> {
      seen.push_back(event.requestId + payload);
      co_return seen.size() == 1 ? AttemptResult::FunctionFailed : AttemptResult::Done;
    });
    loop.spawn([](AsyncQueue& q) -> net::Task<void> {
      EXPECT_TRUE(co_await q.enqueue(eventOf("1"), "hello"));
    }(queue));
    // The event leaves the store on a worker and is counted down on the loop after that.
    run(loop, [&] { return seen.size() == 2 && queue.backlog({"acc", "f"}) == 0; });
    EXPECT_EQ(queue.backlog({"acc", "f"}), 0u);
    EXPECT_TRUE(store_.asyncEvents()->empty());
  }
  EXPECT_EQ(seen, (std::vector<std::string>{"1hello", "1hello"}));
}

TEST_F(AsyncQueueTest, WhatWasAcceptedIsTriedByTheNextDaemon) {
  ASSERT_TRUE(store_.putAsyncEvent(eventOf("1"), "a"));
  ASSERT_TRUE(store_.putAsyncEvent(eventOf("2"), "b"));
  net::Loop loop;
  int tries = 0;
  AsyncQueue queue(loop, store_);
  ASSERT_TRUE(queue.load());
  EXPECT_EQ(queue.backlog({"acc", "f"}), 2u);
  queue.start([&](seams::AsyncEvent, std::string) -> net::Task<AttemptResult> {
    ++tries;
    co_return AttemptResult::Done;
  });
  run(loop, [&] { return queue.backlog({"acc", "f"}) == 0; });
  EXPECT_EQ(tries, 2);
  EXPECT_TRUE(store_.asyncEvents()->empty());
}

TEST_F(AsyncQueueTest, OneTaskIdAtATime) {
  seams::AsyncEvent event = eventOf("1");
  event.taskId = "t";
  ASSERT_TRUE(store_.putAsyncEvent(event, ""));
  event.requestId = "2";
  EXPECT_EQ(store_.putAsyncEvent(event, "").error().kind, ErrorKind::AlreadyExists);
}

TEST(TimerTriggers, FiresOncePerTimeAndNotForWhatIsPast) {
  Trigger trigger;
  trigger.id = trigger.name = "t";
  trigger.type = "timer";
  trigger.timer = {"0 * * * * *", "p\"q", true};
  TimerTriggers timers;
  std::vector<std::string> events;
  const auto tick = [&](std::chrono::seconds at) {
    timers.tick({&trigger}, WallTime(at),
                [&](const Trigger&, std::string event) { events.push_back(std::move(event)); });
    return events.size();
  };
  EXPECT_EQ(tick(30s), 0u);
  EXPECT_EQ(tick(59s), 0u);
  EXPECT_EQ(tick(60s), 1u);
  EXPECT_EQ(events[0],
            R"({"triggerTime":"1970-01-01T00:01:00Z","triggerName":"t","payload":"p\"q"})");
  EXPECT_EQ(tick(61s), 1u);
  EXPECT_EQ(tick(300s), 2u) << "many times have passed: one call";
  trigger.timer.enabled = false;
  EXPECT_EQ(tick(400s), 2u);
  trigger.timer.enabled = true;
  EXPECT_EQ(tick(500s), 2u) << "what passed while it was off is not made up for";
  EXPECT_EQ(tick(541s), 3u);
}

}  // namespace
}  // namespace okibi::conductor
