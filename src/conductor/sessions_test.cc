// Programs run inside instances: who may, what they keep awake, what they cost, how they end.

#include <gtest/gtest.h>

#include "conductor/testing_world.h"

namespace okibi::conductor {
namespace {

using testing::World;
using Opened = Result<std::shared_ptr<Session>>;

class SessionsTest : public ::testing::Test {
 protected:
  // A function with one instance that has served one call.
  net::Task<void> wake(std::string name) {
    co_await world_.deploy(name);
    (void)co_await world_.call(std::move(name));
  }
  SessionOrder order(const std::string& function) {
    SessionOrder wanted;
    wanted.function = World::ref(function);
    for (const InstanceStatus& one : world_.conductor->instances()) {
      if (one.function == function) wanted.instance = one.name;
    }
    wanted.program.command = {"sh"};
    wanted.requestId = "r-session";
    wanted.received = momentNow(*world_.loop);
    return wanted;
  }
  net::Task<Opened> open(SessionOrder wanted) {
    return world_.conductor->openSession(std::move(wanted));
  }
  seams::FakeProgram& program() { return *world_.runtime.running().front()->programs.back(); }
  std::string codeOf(const Opened& opened) { return opened ? "opened" : opened.error().code; }

  World world_;
};

TEST_F(SessionsTest, KeepsAFrozenInstanceAwakeAndIsBilledUntilItCloses) {
  world_.run([&]() -> net::Task<void> {
    co_await wake("f");
    co_await world_.loop->sleep(5s);
    EXPECT_TRUE(world_.runtime.running().front()->frozen);
    Opened session = co_await open(order("f"));
    EXPECT_TRUE(session);
    EXPECT_FALSE(world_.runtime.running().front()->frozen);
    EXPECT_EQ(program().program.command, std::vector<std::string>{"sh"});
    EXPECT_EQ(world_.conductor->instances()[0].sessions, 1);
    co_await world_.loop->sleep(6min);  // beyond idleTimeout
    EXPECT_EQ(world_.runtime.running().size(), 1u);
    EXPECT_EQ(*(co_await world_.call("f")).body, "ok");  // it takes no slot
    (*session)->bytesOut = Bytes(7);
    world_.conductor->closeSession(*session);
    world_.conductor->closeSession(*session);
    EXPECT_TRUE(program().killed);
    const auto records = co_await world_.records("f");
    EXPECT_EQ(records.size(), 3u);
    EXPECT_EQ(records[0].requestId, "r-session");
    EXPECT_EQ(records[0].status, 101);
    EXPECT_EQ(records[0].bytesOut, Bytes(7));
    EXPECT_EQ(records[0].duration, 6min);
    const ledger::Usage usage = co_await world_.usage("f");
    EXPECT_GE(usage.activeMs, 6 * 60 * 1000);
    EXPECT_LT(usage.activeMs, 7 * 60 * 1000);
    co_await world_.loop->sleep(10min);
    EXPECT_TRUE(world_.runtime.running().empty());
  });
}

TEST_F(SessionsTest, OnlyLiveInstancesOfTheFunctionAndTheQualifier) {
  world_.run([&]() -> net::Task<void> {
    co_await wake("f");
    co_await wake("g");
    SessionOrder wanted = order("f");
    wanted.function = World::ref("missing");
    EXPECT_EQ(codeOf(co_await open(wanted)), "FunctionNotFound");
    wanted.function = World::ref("g");
    EXPECT_EQ(codeOf(co_await open(wanted)), "InstanceNotFound");
    wanted.function = {"2000000000000002", "f"};
    EXPECT_EQ(codeOf(co_await open(wanted)), "FunctionNotFound");
    wanted = order("f");
    wanted.instance = "c-0";
    EXPECT_EQ(codeOf(co_await open(wanted)), "InstanceNotFound");
    wanted = order("f");
    wanted.qualifier = "LATEST";
    Opened latest = co_await open(wanted);
    EXPECT_TRUE(latest);
    world_.conductor->closeSession(*latest);
    wanted.qualifier = "none";
    const Opened none = co_await open(wanted);
    EXPECT_FALSE(none);
    EXPECT_TRUE(world_.conductor->publish(World::ref("f"), ""));
    Alias alias;
    alias.versionId = "1";
    alias.additional["LATEST"] = 100'000;
    EXPECT_TRUE(world_.conductor->putAlias(World::ref("f"), "split", alias));
    wanted.qualifier = "split";
    Opened split = co_await open(wanted);
    EXPECT_TRUE(split) << "LATEST has a part of its traffic";
    if (split) world_.conductor->closeSession(*split);
    wanted.qualifier = "1";
    EXPECT_EQ(codeOf(co_await open(wanted)), "InstanceNotFound");
  });
}

TEST_F(SessionsTest, WhatCannotBeRunHoldsNothing) {
  world_.runtime.script.runError = Error{ErrorKind::Invalid, "exec: 'sh': No such file", {}};
  world_.run([&]() -> net::Task<void> {
    co_await wake("f");
    const Opened refused = co_await open(order("f"));
    EXPECT_EQ(refused.error().message, "exec: 'sh': No such file");
    EXPECT_EQ(world_.conductor->instances()[0].sessions, 0);
    const auto records = co_await world_.records("f");
    EXPECT_EQ(records.size(), 1u);
    co_await world_.loop->sleep(10min);
    EXPECT_TRUE(world_.runtime.running().empty());
  });
}

TEST_F(SessionsTest, AreBoundedPerInstance) {
  world_.run([&]() -> net::Task<void> {
    co_await wake("f");
    std::vector<std::shared_ptr<Session>> all;
    for (std::size_t i = 0; i < limits::kSessionsPerInstance; ++i) {
      Opened session = co_await open(order("f"));
      EXPECT_TRUE(session);
      all.push_back(*session);
    }
    const Opened one = co_await open(order("f"));
    EXPECT_EQ(one.error().kind, ErrorKind::Exhausted);
    EXPECT_EQ(one.error().code, "ResourceExhausted");
    EXPECT_EQ(one.error().message, "sessions of the instance: the limit is 8, 8 are in use");
    for (const auto& session : all) world_.conductor->closeSession(session);
    Opened again = co_await open(order("f"));
    EXPECT_TRUE(again);
    world_.conductor->closeSession(*again);
  });
}

TEST_F(SessionsTest, EndWithTheirInstanceAndAreOnTheLedger) {
  world_.run([&]() -> net::Task<void> {
    co_await wake("f");
    Opened session = co_await open(order("f"));
    std::string why;
    (*session)->onEnd = [&](const Error& error) { why = error.message; };
    co_await world_.loop->sleep(10s);
    world_.runtime.crash(world_.runtime.running().front()->id, {.id = {}, .signal = 9});
    EXPECT_EQ(why, "the instance ended: crashed: signal 9");
    world_.conductor->closeSession(*session);
    const auto records = co_await world_.records("f");
    EXPECT_EQ(records.size(), 2u);
    EXPECT_EQ(records[0].duration, 10s);
  });
}

TEST_F(SessionsTest, AnInstanceOnItsWayOutWaitsAWhile) {
  world_.run([&]() -> net::Task<void> {
    co_await wake("f");
    Opened session = co_await open(order("f"));
    std::string why;
    (*session)->onEnd = [&](const Error& error) { why = error.message; };
    EXPECT_TRUE(world_.conductor->update(World::ref("f"), world_.spec("f")));
    co_await world_.settled(World::ref("f"));
    co_await world_.loop->sleep(limits::kSessionDrain - 1s);
    EXPECT_EQ(why, "");
    EXPECT_EQ(world_.runtime.running().size(), 1u);
    EXPECT_EQ(codeOf(co_await open(order("f"))), "InstanceNotReady");
    co_await world_.loop->sleep(10s);
    EXPECT_EQ(why, "the instance is being released");
    EXPECT_TRUE(world_.runtime.running().empty());
  });
}

TEST_F(SessionsTest, ADrainDoesNotWaitForThemForEver) {
  world_.run([&]() -> net::Task<void> {
    co_await wake("f");
    Opened session = co_await open(order("f"));
    EXPECT_TRUE(session);
    const Instant began = world_.loop->now();
    co_await world_.conductor->drain(world_.loop->now() + 1h);
    EXPECT_LT(world_.loop->now() - began, limits::kSessionDrain + 10s);
    const auto records = co_await world_.records("f");
    EXPECT_EQ(records.size(), 2u);
    EXPECT_TRUE(world_.runtime.running().empty());
  });
}

}  // namespace
}  // namespace okibi::conductor
