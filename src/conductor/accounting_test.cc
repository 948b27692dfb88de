// Accounting when the disk is slow, full or gone, and what is shown of it.

#include <fstream>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include "conductor/testing_world.h"

namespace okibi::conductor {
namespace {

using testing::Called;
using testing::World;

// Files may not grow: what a full disk does to a write. Undone at the end of its life.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) {
    ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    rlimit now = before_;
    now.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &now);
  }
  ~FullDisk() { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

TEST(AccountingDisk, AFullOneStopsTheAnswerAndLosesNoUsage) {
  World world;
  world.run([&]() -> net::Task<void> {
    co_await world.deploy("f");
    EXPECT_TRUE((co_await world.call("f")).body);
    {
      FullDisk full(1);
      const Called called = co_await world.call("f");
      EXPECT_FALSE(called.body) << "an answer that is not on the log";
      co_await world.loop->sleep(3s);
    }
    EXPECT_TRUE((co_await world.call("f")).body);
    const ledger::Usage usage = co_await world.usage("f");
    EXPECT_EQ(usage.calls, 3) << "what could not be written was kept";
  });
}

TEST(AccountingDisk, AFoldThatFailsIsDoneAgain) {
  World world;
  world.run([&]() -> net::Task<void> {
    co_await world.deploy("f");
    EXPECT_TRUE((co_await world.call("f")).body);
    world.store.failWrites(3, {ErrorKind::Exhausted, "disk full", {}});
    co_await world.loop->sleep(2500ms);
    EXPECT_TRUE((co_await world.call("f")).body) << "answers need the log only";
    co_await world.loop->sleep(10s);
    EXPECT_EQ((co_await world.usage("f")).calls, 2);
  });
}

// The worker's fdatasync fails: what the kernel dropped nobody knows, so nothing more is answered.
TEST(AccountingDeathTest, ALogThatCannotBeSyncedEndsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        World world;
        world.run([&]() -> net::Task<void> {
          co_await world.deploy("f");
          co_await world.call("f");
          const auto log = world.directory.path / "ledger" / "ledger-00000001.log";
          for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
            std::error_code none;
            if (std::filesystem::read_symlink(entry.path(), none) != log) continue;
            int ends[2];
            if (::pipe(ends) != 0) continue;  // a pipe cannot be synced
            ::dup2(ends[1], std::stoi(entry.path().filename().string()));
          }
          co_await world.loop->sleep(5s);
        });
      },
      "the ledger log cannot be written");
}

// Slow work goes on beside the loop: it answers while a segment is being made, and each answer
// waits until its record is where it belongs.
TEST(AccountingSegments, TurnUnderLoadAndNothingIsLostOrDoubled) {
  World world({}, {.segmentBytes = 4096, .folded = {}});
  world.runtime.script.app = [&](net::Exchange& exchange, seams::FakeInstance&) -> net::Task<void> {
    co_await world.loop->sleep(40ms);
    co_await net::answer(exchange, {}, "done");
  };
  world.run([&]() -> net::Task<void> {
    FunctionSpec spec = world.spec("f");
    spec.concurrency = 5;
    co_await world.deploy(spec);
    std::size_t answered = 0;
    for (int round = 0; round < 60; ++round) {
      for (const Called& called : co_await world.calls("f", 5)) answered += called.body ? 1 : 0;
    }
    EXPECT_EQ(answered, 300u);
    const ledger::Usage usage = co_await world.usage("f");
    EXPECT_EQ(usage.calls, 300);
    std::size_t segments = 0;
    for (const auto& entry : std::filesystem::directory_iterator(world.directory.path / "ledger")) {
      EXPECT_NE(entry.path().filename(), "ledger-00000001.log") << "folded and discarded";
      ++segments;
    }
    EXPECT_GE(segments, 1u);
  });
}

// kill -9: another accounting on the same log knows every answered call.
TEST(AccountingSegments, WhatWasAnsweredIsOnTheLog) {
  World world({}, {.segmentBytes = 4096, .folded = {}});
  world.run([&]() -> net::Task<void> {
    co_await world.deploy("f");
    std::int64_t answered = 0;
    for (int i = 0; i < 40; ++i) {
      if ((co_await world.call("f")).body) ++answered;
      if (i % 10 != 9) continue;
      const auto copy = world.directory.path / ("copy" + std::to_string(i));
      std::filesystem::copy(world.directory.path / "ledger", copy);
      seams::FakeStateStore fresh;
      const auto folded = world.store.foldPosition().value();
      if (folded.segment > 1) continue;  // older segments are gone, and in the store
      ledger::PriceBook prices;
      auto reread = Accounting::open(*world.loop, copy, fresh, prices, wallNow());
      EXPECT_TRUE(reread) << reread.error().message;
      auto report = co_await (*reread)->usage(std::string(testing::kAccount), "f", wallNow());
      EXPECT_EQ(report->total.usage.calls, answered);
    }
    EXPECT_EQ((co_await world.usage("f")).calls, 40);
  });
}

TEST(AccountingReport, AlwaysOnCountsFromTheFirstUse) {
  World world;
  world.run([&]() -> net::Task<void> {
    auto& accounting = *world.accounting;
    auto none = co_await accounting.usage(std::string(testing::kAccount), "", wallNow());
    EXPECT_EQ(none->total.alwaysOn, Money());
    co_await world.deploy("f");
    co_await world.deploy("g");
    const WallTime before = wallNow();
    co_await world.call("f");
    const auto after = wallNow();
    auto report = co_await accounting.usage(std::string(testing::kAccount), "",
                                            before + std::chrono::hours(3));
    const UsageSummary& f = report->functions.at(0);
    EXPECT_GE(f.since, before);
    EXPECT_LE(f.since, after);
    EXPECT_EQ(report->total.since, f.since);
    EXPECT_EQ(f.alwaysOn, world.prices.alwaysOn(1, before + std::chrono::hours(3) - f.since));
    // Half a second of slack of six dollars.
    EXPECT_NEAR(static_cast<double>(f.alwaysOn.micros()), 6e6, 6e4);
  });
}

TEST(AccountingReport, InvocationsOfAllFunctionsAreNewestFirst) {
  World world;
  world.run([&]() -> net::Task<void> {
    co_await world.deploy("f");
    co_await world.deploy("g");
    for (const char* name : {"f", "g", "f"}) co_await world.call(name);
    std::vector<FunctionRef> both{World::ref("f"), World::ref("g")};
    auto all = co_await world.accounting->invocations(both, seams::InvocationFilter::All, 10);
    EXPECT_EQ(all->size(), 3u);
    for (std::size_t i = 1; i < all->size(); ++i) {
      EXPECT_GE((*all)[i - 1].received, (*all)[i].received);
    }
    auto two = co_await world.accounting->invocations(both, seams::InvocationFilter::All, 2);
    EXPECT_EQ(two->size(), 2u);
    auto cold = co_await world.accounting->invocations(both, seams::InvocationFilter::ColdOnly, 9);
    EXPECT_EQ(cold->size(), 2u);
  });
}

TEST(EndedInstances, AreListedWithWhyTheyEnded) {
  World world;
  const std::string account(testing::kAccount);
  world.run([&]() -> net::Task<void> {
    FunctionSpec spec = world.spec("f");
    spec.idleTimeout = Seconds(1);
    co_await world.deploy(spec);
    co_await world.call("f");
    const InstanceStatus live = world.conductor->instances().at(0);
    EXPECT_TRUE((co_await world.accounting->endedInstances(account, "f", wallNow(), 10))->empty());
    co_await world.loop->sleep(3s);
    const auto ended = co_await world.accounting->endedInstances(account, "", wallNow(), 10);
    EXPECT_EQ(ended->size(), 1u);
    const seams::EndedInstance& one = ended->at(0);
    EXPECT_EQ(one.name, live.name);
    EXPECT_EQ(one.version, kLatest);
    EXPECT_EQ(one.created, live.created);
    EXPECT_EQ(one.reason, "idle timeout");
    EXPECT_TRUE((co_await world.accounting->endedInstances("other", "", wallNow(), 10))->empty());
    const WallTime later = wallNow() + limits::kEndedInstanceAge + 1h;
    EXPECT_TRUE((co_await world.accounting->endedInstances(account, "", later, 10))->empty());
  });
}

TEST(EndedInstances, ThoseThatADeadDaemonHadAreTold) {
  World world;
  seams::FakeStateStore store;
  const auto open = [&](net::Loop& loop) {
    return Accounting::open(loop, world.directory.path / "another", store, {}, wallNow()).value();
  };
  world.run([&]() -> net::Task<void> {
    co_await world.deploy("f");
    EXPECT_TRUE(store.addAccount({std::string(testing::kAccount), {}}));
    EXPECT_TRUE(store.putFunction(*world.catalog.find(World::ref("f"))));
    {
      auto killed = open(*world.loop);
      ledger::InstanceTerms terms;
      terms.instance = "c-1";
      terms.function = World::ref("f");
      terms.version = "3";
      killed->instanceOpened(terms, {world.loop->now(), wallNow()});
    }
    const auto next = open(*world.loop);
    const auto ended =
        co_await next->endedInstances(std::string(testing::kAccount), "f", wallNow(), 10);
    EXPECT_EQ(ended->size(), 1u);
    EXPECT_EQ(ended->at(0).name, "c-1");
    EXPECT_EQ(ended->at(0).version, "3");
    EXPECT_EQ(ended->at(0).reason, "the daemon ended");
  });
}

}  // namespace
}  // namespace okibi::conductor
