// Every way a program may try to use more of a card than its slice, and what becomes of it. Each
// test's name in the first suite is a route of the table in docs/gpu_isolation.md, which
// DocumentedRoutes holds against this file.

#include <fstream>

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gpu_bypass/testing_instance.h"

namespace okibi::bypass {
namespace {

constexpr std::int64_t kLimitMb = 64;
constexpr int kOutOfMemory = 2;

// Four blocks of 16 MiB fit in the slice, and the fifth is refused as a full card would.
void expectStopped(Probe probe) {
  EXPECT_EQ(probe.finish(), 0) << probe.output();
  EXPECT_EQ(probe.value("blocks"), 4) << probe.output();
  EXPECT_EQ(probe.value("status"), kOutOfMemory) << probe.output();
}

TEST(Stopped, linked) {
  const Instance instance(kLimitMb);
  expectStopped(instance.startLinked({"linked", "fill", "16"}));
}

TEST(Stopped, dlsym) {
  const Instance instance(kLimitMb);
  expectStopped(instance.start({"dlsym", "fill", "16"}));
}

TEST(Stopped, dlvsym) {
  const Instance instance(kLimitMb);
  expectStopped(instance.start({"dlvsym", "fill", "16"}));
}

TEST(Stopped, resolver) {
  const Instance instance(kLimitMb);
  expectStopped(instance.start({"resolver", "fill", "16"}));
  expectStopped(instance.start({"resolver1", "fill", "16"}));
}

TEST(Stopped, deepBind) {
  const Instance instance(kLimitMb);
  expectStopped(instance.start({"deepbind", "fill", "16"}));
}

TEST(Stopped, newNamespace) {
  const Instance instance(kLimitMb);
  expectStopped(instance.start({"dlmopen", "fill", "16"}));
}

TEST(Stopped, staticBinary) {
  const Instance instance(kLimitMb);
  expectStopped(instance.startStatic({"dlsym", "fill", "16"}));
}

// No variable tells the shim anything, so none can be taken away.
TEST(Stopped, cleanEnvironment) {
  const Instance instance(kLimitMb);
  expectStopped(instance.startBare({"dlsym:" + instance.frontPath(), "fill", "16"}));
}

TEST(Stopped, child) {
  Instance instance(kLimitMb);
  Probe probe = instance.start({"dlsym", "child", "16"});
  EXPECT_EQ(probe.finish(), 0) << probe.output();
  EXPECT_EQ(probe.value("blocks"), 4) << probe.output();
  // The child is gone, and its blocks with it.
  EXPECT_EQ(probe.value("parent-blocks"), 4) << probe.output();
  EXPECT_EQ(instance.usedMb(), 0);
}

TEST(Stopped, forkBeforeInit) {
  Instance instance(kLimitMb);
  Probe probe = instance.start({"dlsym", "fork", "16"});
  EXPECT_EQ(probe.finish(), 0) << probe.output();
  EXPECT_EQ(probe.value("child-blocks"), 4) << probe.output();
  EXPECT_EQ(probe.value("parent-blocks"), 4) << probe.output();
}

// The driver is of no use to a child forked after cuInit; where one were, the child has its own
// account and cannot give back what is its parent's.
TEST(Stopped, forkAfterInit) {
  if (!onRealDriver()) {
    const Instance instance(kLimitMb, {"forkWorks=1"});
    Probe probe = instance.start({"dlsym", "forkinit", "16"});
    EXPECT_EQ(probe.finish(), 0) << probe.output();
    EXPECT_EQ(probe.value("child-init"), 0) << probe.output();
    EXPECT_EQ(probe.value("child-blocks"), 3) << probe.output();
    EXPECT_EQ(probe.value("parent-blocks"), 3) << probe.output();
  }
  const Instance instance(kLimitMb);
  Probe probe = instance.start({"dlsym", "forkinit", "16"});
  EXPECT_EQ(probe.finish(), 0) << probe.output();
  EXPECT_EQ(probe.value("child-blocks"), 0) << probe.output();
}

TEST(Stopped, processRace) {
  for (int round = 0; round < 5; ++round) {
    const Instance instance(kLimitMb);
    std::vector<Probe> probes;
    for (int i = 0; i < 8; ++i) probes.push_back(instance.start({"dlsym", "hold", "16"}));
    long long blocks = 0;
    for (Probe& probe : probes) {
      ASSERT_TRUE(probe.waitFor("holding")) << probe.output();
      blocks += probe.value("blocks");
    }
    EXPECT_EQ(blocks, 4);
  }
}

TEST(Stopped, threadRace) {
  const Instance instance(kLimitMb);
  Probe probe = instance.start({"dlsym", "threads", "16", "16"});
  EXPECT_EQ(probe.finish(), 0) << probe.output();
  EXPECT_EQ(probe.value("blocks"), 4) << probe.output();
}

class AllocationCalls : public testing::TestWithParam<const char*> {};

// Each kind alone: never more than the slice, refused like a full card, and no charge left when all
// is freed.
TEST_P(AllocationCalls, StaysInSlice) {
  Instance instance(kLimitMb);
  Probe probe = instance.start({"dlsym", "path", GetParam(), "16"});
  ASSERT_TRUE(probe.waitFor("freed")) << probe.output();
  // Pools of a real driver grow by 32 MiB at a time, and graphs as they see fit.
  if (onRealDriver()) {
    EXPECT_GE(probe.value("blocks"), 1);
    EXPECT_LE(probe.value("blocks"), 4);
  } else {
    EXPECT_EQ(probe.value("blocks"), 4);
  }
  EXPECT_EQ(probe.value("status"), kOutOfMemory);
  EXPECT_EQ(probe.value("again"), 0);
  EXPECT_EQ(instance.budget().used(0).count(), 0);
}

INSTANTIATE_TEST_SUITE_P(Route, AllocationCalls,
                         testing::Values("plain", "pitch", "managed", "async", "async-free",
                                         "async-ptsz", "pool", "pool-ptsz", "create", "map",
                                         "array", "array3d", "mipmap", "graph", "graph-node",
                                         "graph-capture"),
                         [](const auto& route) {
                           std::string name = route.param;
                           std::erase(name, '-');
                           return name;
                         });

TEST(Shim, AnswersOfTheResolverStayRight) {
  const Instance instance(kLimitMb);
  Probe probe = instance.start({"dlsym", "resolve"});
  EXPECT_EQ(probe.finish(), 0) << probe.output();
}

// A driver whose resolver answers with addresses that no symbol has.
TEST(Shim, PrivateEntriesOfTheDriverAreMetered) {
  if (onRealDriver()) GTEST_SKIP() << "asks the fake driver for what a real one may do";
  const Instance instance(kLimitMb, {"privateEntries=1"});
  expectStopped(instance.start({"resolver", "fill", "16"}));
  Probe probe = instance.start({"dlsym", "resolve"});
  EXPECT_EQ(probe.finish(), 0) << probe.output();
}

TEST(Shim, ShowsTheSlice) {
  const Instance instance(kLimitMb);
  Probe probe = instance.start({"dlsym", "info"});
  EXPECT_EQ(probe.finish(), 0);
  EXPECT_EQ(probe.value("total"), kLimitMb * kMiB);
  EXPECT_EQ(probe.value("free"), kLimitMb * kMiB);
  EXPECT_EQ(probe.value("device"), kLimitMb * kMiB);
}

TEST(Shim, AContextIsChargedAConstant) {
  Instance instance(kLimitMb, {}, Bytes::mib(20));
  Probe probe = instance.start({"dlsym", "hold", "16"});
  ASSERT_TRUE(probe.waitFor("holding"));
  EXPECT_EQ(probe.value("blocks"), 2);
  EXPECT_EQ(instance.usedMb(), 52);
  EXPECT_EQ(probe.finish(), 0);
  EXPECT_EQ(instance.usedMb(), 0);
}

TEST(Shim, ADeadProcessLeavesNothing) {
  Instance instance(kLimitMb);
  Probe first = instance.start({"dlsym", "hold", "16"});
  ASSERT_TRUE(first.waitFor("holding"));
  EXPECT_EQ(instance.usedMb(), 64);
  first.kill(SIGKILL);
  first.finish();
  // Without the daemon's help: the next process reaps it itself.
  expectStopped(instance.start({"dlsym", "fill", "16"}));
}

TEST(Shim, NoDriftAfterAMillionOperations) {
  Instance instance(kLimitMb);
  Probe probe = instance.start({"dlsym", "churn", "1000000"});
  ASSERT_TRUE(probe.waitFor("rounds")) << probe.output();
  EXPECT_EQ(instance.budget().used(0).count(), 0);
  EXPECT_EQ(probe.finish(), 0);
}

// Killed anywhere: what the slots say and what the sum says stay one.
TEST(Shim, NoDriftWhenProcessesAreKilled) {
  Instance instance(1024);
  for (int round = 0; round < 20; ++round) {
    std::vector<Probe> probes;
    for (int i = 0; i < 3; ++i) probes.push_back(instance.start({"dlsym", "churn", "100000000"}));
    usleep(30'000 + round * 3'000);
    for (Probe& probe : probes) probe.kill(SIGKILL);
    for (Probe& probe : probes) probe.finish();
    EXPECT_EQ(instance.usedMb(), 0);
    EXPECT_EQ(instance.budget().used(0).count(), 0);
  }
  EXPECT_FALSE(instance.budget().corrupt());
}

TEST(Shim, MarksWhatCannotBeParked) {
  Instance instance(kLimitMb);
  Probe probe = instance.start({"dlsym", "path", "managed", "16"});
  ASSERT_TRUE(probe.waitFor("freed"));
  EXPECT_EQ(instance.budget().marks(), budget::kMarkManaged);
}

void expectRefused(const Instance& instance) {
  Probe probe = instance.start({"dlsym", "init"});
  EXPECT_EQ(probe.finish(), 0) << probe.output();
  EXPECT_EQ(probe.value("status"), 304) << probe.output();
}

TEST(FailClosed, MissingBudget) {
  const Instance instance(kLimitMb);
  unlink(instance.budgetPath().c_str());
  expectRefused(instance);
}

TEST(FailClosed, UnreadableBudget) {
  const Instance instance(kLimitMb);
  unlink(instance.budgetPath().c_str());
  mkdir(instance.budgetPath().c_str(), 0700);
  expectRefused(instance);
}

TEST(FailClosed, ShortBudget) {
  const Instance instance(kLimitMb);
  ASSERT_EQ(truncate(instance.budgetPath().c_str(), 4096), 0);
  expectRefused(instance);
}

// Each constant, one byte changed.
TEST(FailClosed, DamagedBudget) {
  for (const off_t at : {0, 8, 12, 16, 24, 72, 80}) {
    const Instance instance(kLimitMb);
    std::fstream file(instance.budgetPath(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(at);
    const auto byte = static_cast<char>(file.get() ^ 1);
    file.seekp(at);
    file.put(byte);
    file.close();
    expectRefused(instance);
  }
}

TEST(FailClosed, MissingDriver) {
  const Instance instance(kLimitMb);
  unlink(instance.privatePath().c_str());
  expectRefused(instance);
}

TEST(FailClosed, ClosedBudgetTakesNoMore) {
  Instance instance(kLimitMb);
  instance.budget().close();
  Probe probe = instance.start({"dlsym", "fill", "16"});
  EXPECT_EQ(probe.finish(), 0);
  EXPECT_EQ(probe.value("blocks", 0), 0);
  EXPECT_EQ(probe.value("status"), 304);
}

}  // namespace
}  // namespace okibi::bypass
