// The conductor with fake sandboxes on a virtual clock: deployments, cold starts, idle life, and
// what becomes of requests when things go wrong.

#include <gtest/gtest.h>

#include "conductor/testing_world.h"

namespace okibi::conductor {
namespace {

using seams::FakeInstance;
using testing::Called;
using testing::World;
using namespace std::string_literals;

// An application that works for `time` on each request.
seams::FakeApp works(net::Loop& loop, Duration time) {
  return [&loop, time](net::Exchange& exchange, FakeInstance&) -> net::Task<void> {
    co_await loop.sleep(time);
    co_await net::answer(exchange, {}, "done");
  };
}
seams::FakeApp hangs() {
  return [](net::Exchange& exchange, FakeInstance& instance) -> net::Task<void> {
    co_await instance.hang(exchange);
  };
}
// Hangs on `path`, answers everything else with `status`.
seams::FakeApp answers(std::string path, int status) {
  return [path, status](net::Exchange& exchange, FakeInstance&) -> net::Task<void> {
    net::ResponseHead head;
    if (exchange.request().path() == path) head.status = status;
    co_await net::answer(exchange, std::move(head), "said");
  };
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// ---- deployment

TEST(Deployment, IsPendingUntilTheImageIsHere) {
  World world;
  world.images->hold("app:1");
  world.run([&]() -> net::Task<void> {
    auto created = world.conductor->create(std::string(testing::kAccount), world.spec("f"));
    EXPECT_TRUE(created);
    EXPECT_EQ((*created)->state, FunctionState::Pending);
    co_await world.loop->sleep(2min);
    const Called early = co_await world.call("f");
    EXPECT_EQ(early.body.error().code, "FunctionNotActive");
    EXPECT_EQ(early.body.error().kind, ErrorKind::Unavailable);
    world.images->release("app:1");
    co_await world.settled(World::ref("f"));
    EXPECT_EQ(world.catalog.find(World::ref("f"))->state, FunctionState::Active);
    EXPECT_EQ(*(co_await world.call("f")).body, "ok");
  });
}

TEST(Deployment, FailsWithTheReasonAndAnUpdateMendsIt) {
  World world;
  world.images->failPulls("app:1", Error{ErrorKind::Denied, "the registry wants a password", {}});
  world.run([&]() -> net::Task<void> {
    co_await world.deploy("f");
    const Function* failed = world.catalog.find(World::ref("f"));
    EXPECT_EQ(failed->state, FunctionState::Failed);
    EXPECT_EQ(failed->stateReason, "the registry wants a password");
    EXPECT_EQ(failed->stateReasonCode, "ImagePullFailed");
    const Called refused = co_await world.call("f");
    EXPECT_TRUE(contains(refused.body.error().message, "wants a password"));
    world.images->failPulls("app:1", std::nullopt);
    EXPECT_TRUE(world.conductor->update(World::ref("f"), world.spec("f")));
    co_await world.settled(World::ref("f"));
    EXPECT_EQ(world.catalog.find(World::ref("f"))->state, FunctionState::Active);
    EXPECT_EQ(*(co_await world.call("f")).body, "ok");
  });
}

TEST(Deployment, AnUpdateThatFailsLeavesTheOldConfigurationServing) {
  World world;
  world.run([&]() -> net::Task<void> {
    co_await world.deploy("f");
    FunctionSpec next = world.spec("f");
    next.container.image = "missing:1";
    EXPECT_TRUE(world.conductor->update(World::ref("f"), next));
    co_await world.settled(World::ref("f"));
    const Function* function = world.catalog.find(World::ref("f"));
    EXPECT_EQ(function->state, FunctionState::Active);
    EXPECT_EQ(function->lastUpdate, UpdateStatus::Failed);
    EXPECT_EQ(*(co_await world.call("f")).body, "ok");
  });
}

TEST(Deployment, AnUpdateServesTheOldConfigurationUntilTheNewIsReadyThenReplacesItsInstances) {
  World world;
  world.images->publish("app:2", {.entrypoint = {"/new"},
                                  .command = {},
                                  .environment = {},
                                  .workingDirectory = {},
                                  .user = {},
                                  .architecture = {}});
  world.images->hold("app:2");
  world.run([&]() -> net::Task<void> {
    co_await world.deploy("f");
    co_await world.call("f");
    FunctionSpec next = world.spec("f");
    next.container.image = "app:2";
    EXPECT_TRUE(world.conductor->update(World::ref("f"), next));
    co_await world.loop->sleep(10s);
    const Called old = co_await world.call("f");
    EXPECT_EQ(old.invocation->revision->number, 1u);
    world.images->release("app:2");
    co_await world.settled(World::ref("f"));
    const Called fresh = co_await world.call("f");
    EXPECT_EQ(fresh.invocation->revision->number, 2u);
    co_await world.loop->sleep(10s);
    EXPECT_EQ(world.runtime.running().size(), 1u);
    EXPECT_EQ(world.runtime.running()[0]->spec.arguments, std::vector{"/new"s});
  });
}

TEST(Deployment, AFunctionThatIsThereOrCannotRunHereIsRefused) {
  World world;
  world.run([&]() -> net::Task<void> {
    co_await world.deploy("f");
    const std::string account(testing::kAccount);
    EXPECT_EQ(world.conductor->create(account, world.spec("f")).error().code,
              "FunctionAlreadyExists");
    FunctionSpec card = world.spec("g");
    card.gpu = GpuConfig{"fc.gpu.tesla.1", Bytes::gib(1)};
    EXPECT_EQ(world.conductor->create(account, card).error().kind, ErrorKind::Invalid);
    EXPECT_EQ(world.conductor->update(World::ref("no"), world.spec("no")).error().code,
              "FunctionNotFound");
    EXPECT_EQ((co_await world.call("no")).body.error().code, "FunctionNotFound");
  });
}

TEST(Deployment, AStoreThatCannotWriteChangesNothing) {
  World world;
  world.run([&]() -> net::Task<void> {
    world.store.failWrites(1, {ErrorKind::Exhausted, "disk full", {}});
    const std::string account(testing::kAccount);
    EXPECT_EQ(world.conductor->create(account, world.spec("f")).error().kind, ErrorKind::Exhausted);
    EXPECT_EQ(world.catalog.find(World::ref("f")), nullptr);
    co_await world.deploy("f");
    world.store.failWrites(1, {ErrorKind::Exhausted, "disk full", {}});
    EXPECT_FALSE(world.conductor->remove(World::ref("f")));
    EXPECT_EQ(*(co_await world.call("f")).body, "ok");
  });
}

// ---- cold start, warm calls, concurrency

TEST(ColdStart, PhasesAreWhatEachStepTookAndSumToTheWait) {
  World world;
  world.runtime.script.start = 30ms;
  world.runtime.script.listens = 200ms;
  world.run([&]() -> net::Task<void> {
    FunctionSpec spec = world.spec("f");
    spec.initializer.handler = "initialize";
    spec.initializer.timeout = Seconds(10);
    world.runtime.script.app = works(*world.loop, 2s);
    co_await world.deploy(spec);
    const Called called = co_await world.call("f");
    EXPECT_EQ(*called.body, "done");
    const ledger::ColdPhases& phases = called.invocation->phases;
    EXPECT_EQ(phases.sandbox, 30ms);
    EXPECT_GE(phases.app, 200ms);
    EXPECT_LE(phases.app, 210ms);  // it is noticed within a few percent
    EXPECT_EQ(phases.init, 2s);
    EXPECT_EQ(phases.sum(), called.invocation->dispatched.at - called.invocation->received.at);
    EXPECT_EQ(called.invocation->instance->startsAtOnce, 1);
    const Called warm = co_await world.call("f");
    EXPECT_EQ(warm.invocation->warmth, planner::Warmth::Warm);
    EXPECT_EQ(warm.took, 2s);
    const auto instance = world.runtime.running().at(0);
    EXPECT_EQ(instance->requests,
              (std::vector{"POST /initialize"s, "POST /invoke"s, "POST /invoke"s}));
    const auto records = co_await world.records("f");
    EXPECT_EQ(records.size(), 2u);
    EXPECT_EQ(records[1].phases, phases);
    // Load and first answer are one interval; the hook's part is not the request's.
    EXPECT_EQ(records[1].share, 2s);
    const ledger::Usage usage = co_await world.usage("f");
    EXPECT_EQ(usage.calls, 2);
    EXPECT_EQ(usage.coldCalls, 1);
    EXPECT_EQ(usage.activeMs, 6000);
  });
}

TEST(ColdStart, ConcurrencyFillsOneInstanceBeforeASecondStarts) {
  World world;
  world.runtime.script.app = works(*world.loop, 1s);
  world.run([&]() -> net::Task<void> {
    FunctionSpec spec = world.spec("f");
    spec.concurrency = 3;
    co_await world.deploy(spec);
    const auto three = co_await world.calls("f", 3);
    for (const Called& called : three) EXPECT_EQ(*called.body, "done");
    EXPECT_EQ(world.runtime.starts(), 1u);
    const auto five = co_await world.calls("f", 5);
    for (const Called& called : five) EXPECT_EQ(*called.body, "done");
    EXPECT_EQ(world.runtime.starts(), 2u);
  });
}

TEST(Usage, AColdCallSaysWhyItWasColdAndWhyOnThatCard) {
  World world([](Settings& settings) { settings.cards = {testing::simulatedCard()}; });
  world.run([&]() -> net::Task<void> {
    FunctionSpec spec = world.spec("f");
    spec.gpu = GpuConfig{"fc.gpu.tesla.1", Bytes::gib(4)};
    co_await world.deploy(spec);
    co_await world.call("f");
    co_await world.call("f");
    const auto records = co_await world.records("f");
    EXPECT_EQ(records.size(), 2u);
    for (const auto& record : records) {
      EXPECT_EQ(record.reason, record.start == ledger::StartKind::Cold
                                   ? "no instance; card 1: the only one of fc.gpu.tesla.1 with "
                                     "room, 12 of 16 GB are left"
                                   : "");
    }
  });
}

// Law 6, as it is shown to people: shares are the active time, bills are the usage.
TEST(Usage, SharesAndBillsOfOverlappingRequestsAddUp) {
  World world([](Settings& settings) { settings.cards = {testing::simulatedCard()}; });
  world.runtime.script.app = works(*world.loop, 700ms);
  world.run([&]() -> net::Task<void> {
    FunctionSpec spec = world.spec("f");
    spec.concurrency = 4;
    spec.cpu = MilliCpu{2000};
    spec.memory = Bytes::gib(8);
    spec.gpu = GpuConfig{"fc.gpu.tesla.1", Bytes::gib(4)};
    co_await world.deploy(spec);
    auto one = [](World& w) -> net::Task<void> { co_await w.call("f"); };
    for (int i = 0; i < 7; ++i) {
      world.loop->spawn(one(world));
      co_await world.loop->sleep(250ms);
    }
    co_await world.loop->sleep(5s);
    const auto records = co_await world.records("f");
    EXPECT_EQ(records.size(), 7u);
    ledger::Usage billed;
    Duration shares{};
    for (const auto& record : records) {
      shares += record.share;
      billed += record.bill;
      EXPECT_EQ(record.gpuMemory, Bytes::gib(4));
      EXPECT_EQ(record.gpuPrice, world.prices.gpuPrice("fc.gpu.tesla.1"));
    }
    ledger::Usage usage = co_await world.usage("f");
    EXPECT_EQ(billed.gpuMbMs, usage.gpuMbMs);
    EXPECT_EQ(billed.activeMs, usage.activeMs);
    EXPECT_GT(billed.gpuMbMs, 0);
    EXPECT_LE(shares, Duration(1ms) * usage.activeMs);
    EXPECT_GT(shares, Duration(1ms) * (usage.activeMs - 8));
  });
}

// Law 6 of kept instances (Function Compute: billing): idle while nothing is on them, active while
// serving.
TEST(Usage, AKeptInstanceThatMayRestIsIdleOrActiveAllItsTime) {
  World world([](Settings& settings) { settings.cards = {testing::simulatedCard()}; });
  world.runtime.script.app = works(*world.loop, 4s);
  world.run([&]() -> net::Task<void> {
    FunctionSpec spec = world.spec("f");
    spec.gpu = GpuConfig{"fc.gpu.tesla.1", Bytes::gib(4)};
    co_await world.deploy(spec);
    MinimumConfig config;
    config.minimum = 1;
    config.alwaysGpu = false;
    const ResourceId id{World::ref("f"), "LATEST"};
    auto& resources = world.catalog.resources();
    EXPECT_TRUE(resources.put(id, config));
    world.conductor->applyMinimums();
    while (world.conductor->minimumStatus(id.owner, id.name).current == 0) {
      co_await world.loop->sleep(1ms);
    }
    const Instant ready = world.loop->now();
    EXPECT_LE((co_await world.usage("f")).idleMs, 1);
    co_await world.loop->sleep(25s);
    EXPECT_EQ((co_await world.call("f")).status, 200);
    co_await world.loop->sleep(7s);
    const ledger::Usage usage = co_await world.usage("f");
    const std::int64_t whole = (world.loop->now() - ready) / 1ms;
    EXPECT_NEAR(static_cast<double>(usage.idleMs + usage.activeMs), static_cast<double>(whole), 3);
    EXPECT_GE(usage.activeMs, 4000);
    EXPECT_LE(usage.activeMs, 4100);
    EXPECT_EQ(usage.idleGpuMbMs, 4096 * usage.idleMs);
    const auto report =
        co_await world.accounting->usage(std::string(testing::kAccount), "f", wallNow());
    const double cost = static_cast<double>(usage.gpuMbMs) * 18'000 +
                        static_cast<double>(usage.idleGpuMbMs) * 4'286;
    EXPECT_NEAR(static_cast<double>(report->total.cost.micros()), cost / 1'024'000 / 1000, 2);
    // One that is always allocated is active all the time, and on the bill while it is.
    config.alwaysGpu = true;
    EXPECT_TRUE(resources.put(id, config));
    world.conductor->applyMinimums();
    const std::int64_t idle = (co_await world.usage("f")).idleMs;
    co_await world.loop->sleep(65s);
    const ledger::Usage later = co_await world.usage("f");
    EXPECT_LE(later.idleMs, idle + 1);
    EXPECT_GE(later.activeMs - usage.activeMs, 50'000);
    EXPECT_TRUE(resources.remove<MinimumConfig>(id));
    world.conductor->applyMinimums();
  });
}

// Neither its initializer nor its waiting is on anybody's bill.
TEST(Usage, WhatIsStartedAheadIsBilledFromItsFirstRequestOn) {
  World world(
      [](Settings& settings) { settings.planner.keepAlive = planner::KeepAlivePolicy::Learned; });
  world.runtime.script.app = works(*world.loop, 2s);
  world.run([&]() -> net::Task<void> {
    FunctionSpec spec = world.spec("f");
    spec.initializer.handler = "initialize";
    spec.initializer.timeout = Seconds(10);
    spec.idleTimeout = Seconds(10);
    co_await world.deploy(spec);
    constexpr int kCalls = 120;
    int ahead = 0;
    for (int i = 0; i < kCalls; ++i) {
      const Called called = co_await world.call("f");
      EXPECT_EQ(called.status, 200);
      ahead += called.invocation->instance->ahead ? 1 : 0;
      co_await world.loop->sleep(40s - called.took);
    }
    const ledger::Usage usage = co_await world.usage("f");
    EXPECT_EQ(usage.calls, kCalls);
    EXPECT_GT(ahead, 20);
    EXPECT_EQ(usage.coldCalls, kCalls - ahead);
    // 2 s each, and 2 s of initializing where a request waited for it.
    EXPECT_EQ(usage.activeMs, 2000 * (usage.calls + usage.coldCalls));
  });
}

// Scale-out on CPUUtilization (Function Compute: auto scaling of minimum instances), from what the
// runtime measures.
TEST(Minimums, FollowTheCpuTimeOfKeptInstances) {
  World world;
  world.runtime.script.cpus = 0.9;
  world.run([&]() -> net::Task<void> {
    FunctionSpec spec = world.spec("f");
    spec.cpu = MilliCpu{1000};
    co_await world.deploy(spec);
    MinimumConfig config;
    config.tracking.push_back({"t", "CPUUtilization", "", {}, {}, 300'000, 1, 3, "", ""});
    const ResourceId id{World::ref("f"), "LATEST"};
    auto& resources = world.catalog.resources();
    EXPECT_TRUE(resources.put(id, config));
    world.conductor->applyMinimums();
    const auto kept = [&] { return world.conductor->minimumStatus(id.owner, id.name).current; };
    co_await world.loop->sleep(5s);
    EXPECT_EQ(kept(), 1);
    // The window is of civil time, which does not pass here: what is measured is looked at itself.
    EXPECT_NEAR(world.conductor->loadOf(id).cpu.value_or(0), 0.9, 0.01);
    EXPECT_FALSE(world.conductor->loadOf(id).gpuMemory);
    EXPECT_TRUE(resources.remove<MinimumConfig>(id));
    world.conductor->applyMinimums();
  });
}

TEST(Queue, AtItsDeadlineARequestIsRefusedNamingTheQuota) {
  World world([](Settings& settings) {
    settings.planner.instanceQuota = 1;
    settings.queueDeadline = 5s;
  });
  world.runtime.script.app = works(*world.loop, 30s);
  world.run([&]() -> net::Task<void> {
    co_await world.deploy("f");
    const auto two = co_await world.calls("f", 2);
    const Called& refused = two[0];  // the first to end
    EXPECT_EQ(refused.body.error().kind, ErrorKind::Exhausted);
    EXPECT_TRUE(contains(refused.body.error().message, "1")) << refused.body.error().message;
    EXPECT_EQ(refused.took, 5s);
    EXPECT_EQ(*two[1].body, "done");
    EXPECT_EQ((co_await world.usage("f")).refused, 1);
  });
}

// ---- idle life

TEST(Idle, FreezesAfterTheGraceThawsForTheNextAndIsReleasedAtTheTimeout) {
  World world;
  world.run([&]() -> net::Task<void> {
    FunctionSpec spec = world.spec("f");
    spec.idleTimeout = Seconds(60);
    spec.preStop.handler = "prestop";
    co_await world.deploy(spec);
    co_await world.call("f");
    co_await world.loop->sleep(2s);
    const auto instance = world.runtime.running().at(0);
    EXPECT_TRUE(instance->frozen);
    const Called thawed = co_await world.call("f");
    EXPECT_EQ(thawed.invocation->warmth, planner::Warmth::Thawed);
    EXPECT_EQ(world.runtime.thaws(), 1u);
    co_await world.loop->sleep(59s);
    EXPECT_EQ(world.runtime.running().size(), 1u);
    co_await world.loop->sleep(3s);
    EXPECT_TRUE(world.runtime.running().empty());
    EXPECT_EQ(instance->requests.back(), "GET /pre-stop");
    EXPECT_TRUE(world.conductor->instances().empty());
  });
}

TEST(Idle, APreStopThatHangsHoldsTheReleaseUpOnlySoLong) {
  World world;
  world.run([&]() -> net::Task<void> {
    FunctionSpec spec = world.spec("f");
    spec.idleTimeout = Seconds(10);
    spec.preStop.handler = "prestop";
    spec.preStop.timeout = Seconds(7);
    world.runtime.script.app = [&](net::Exchange& exchange,
                                   FakeInstance& instance) -> net::Task<void> {
      if (exchange.request().path() == "/pre-stop") co_return co_await instance.hang(exchange);
      co_await net::answer(exchange, {}, "ok");
    };
    co_await world.deploy(spec);
    co_await world.call("f");
    co_await world.loop->sleep(16s);
    EXPECT_EQ(world.runtime.running().size(), 1u);
    co_await world.loop->sleep(3s);
    EXPECT_TRUE(world.runtime.running().empty());
    EXPECT_GE((co_await world.usage("f")).activeMs, 7000) << "hooks are active time";
  });
}

TEST(Idle, AnInstanceThatCannotBeThawedIsKilledAndTheRequestServedByAnother) {
  World world;
  world.run([&]() -> net::Task<void> {
    co_await world.deploy("f");
    world.runtime.script.thawError = Error{ErrorKind::Internal, "cgroup.freeze: I/O error", {}};
    co_await world.call("f");
    co_await world.loop->sleep(2s);
    world.runtime.script.thawError.reset();
    const Called called = co_await world.call("f");
    // Its connection broke, or the news of its end came first; either way nothing hangs.
    EXPECT_FALSE(called.body);
    EXPECT_EQ(*(co_await world.call("f")).body, "ok");
    EXPECT_EQ(world.runtime.running().size(), 1u);
  });
}

// ---- what goes wrong at the start

TEST(Start, AFailedStepIsNamedAndTheNextCallTriesAgain) {
  World world;
  world.run([&]() -> net::Task<void> {
    co_await world.deploy("f");
    world.runtime.script.startError =
        Error{ErrorKind::Unavailable, "exec: '/app': No such file or directory", {}};
    const Called failed = co_await world.call("f");
    EXPECT_EQ(failed.body.error().code, "FunctionNotStarted");
    EXPECT_TRUE(contains(failed.body.error().message, "exec: '/app': No such file"))
        << failed.body.error().message;
    EXPECT_TRUE(world.conductor->instances().empty());
    world.runtime.script.startError.reset();
    co_await world.loop->sleep(10min);  // whatever the planner waits after a failure
    EXPECT_EQ(*(co_await world.call("f")).body, "ok");
  });
}

TEST(Start, ModelDirectoriesAreThoseOfTheAccount) {
  World world([](Settings& settings) {
    settings.modelRoots = {{"weights", "/srv/models", {}},
                           {"private", "/srv/private", {"another"}}};
  });
  world.run([&]() -> net::Task<void> {
    FunctionSpec wanted = world.spec("f");
    wanted.modelDirectories = {{"private", "", "/models"}};
    const auto refused = world.conductor->create(std::string(testing::kAccount), wanted);
    EXPECT_EQ(
        refused.error().message,
        "okibi.modelDirectories[0].name: 'private' is unknown; this account may use: weights");
    EXPECT_EQ(refused.error().code, "InvalidArgument");
    wanted.modelDirectories = {{"weights", "llama", "/models"}};
    co_await world.deploy(wanted);
    EXPECT_EQ(*(co_await world.call("f")).body, "ok");
    EXPECT_EQ(world.runtime.running().back()->spec.models, wanted.modelDirectories);
    wanted.modelDirectories[0].mountDir = "/proc";
    EXPECT_EQ(world.conductor->update(World::ref("f"), wanted).error().code, "InvalidArgument");
  });
}

// Another weight makes no new instances; it counts at once for who waits.
TEST(Weight, AnUpdateMovesWhoWaitsAndKeepsWhatRuns) {
  World world([](Settings& settings) {
    settings.planner.instanceQuota = 3;
    settings.planner.scaleOut = planner::ScaleOut::PerRequest;
    settings.planner.refuseEarly = false;
    settings.queueDeadline = 10min;
  });
  world.runtime.script.app = works(*world.loop, 20s);
  world.run([&]() -> net::Task<void> {
    std::map<std::string, Instant> served;
    auto called = [](World& w, std::map<std::string, Instant>& at, std::string label,
                     std::string name, Duration after) -> net::Task<void> {
      co_await w.loop->sleep(after);
      const Called done = co_await w.call(name);
      EXPECT_TRUE(done.body) << label;
      at[label] = done.invocation->dispatched.at;
    };
    for (const char* name : {"a", "b", "c"}) co_await world.deploy(name);
    world.loop->spawn(
        called(world, served, "c", "c", 0s));  // ends first, and its place is given away
    world.loop->spawn(called(world, served, "a", "a", 5s));
    world.loop->spawn(called(world, served, "b", "b", 5s));
    world.loop->spawn(called(world, served, "a again", "a", 10s));
    world.loop->spawn(called(world, served, "b again", "b", 11s));
    co_await world.loop->sleep(12s);
    const auto running = world.conductor->instances();
    EXPECT_EQ(running.size(), 3u);
    FunctionSpec heavier = world.spec("b");
    heavier.weight = 3;
    EXPECT_TRUE(world.conductor->update(World::ref("b"), heavier));
    co_await world.settled(World::ref("b"));
    EXPECT_EQ(world.catalog.find(World::ref("b"))->active->weight, 3);
    const auto still = world.conductor->instances();
    EXPECT_EQ(still.size(), 3u);
    for (std::size_t i = 0; i < still.size(); ++i) {
      EXPECT_EQ(still[i].name, running[i].name);
      EXPECT_EQ(still[i].state, running[i].state);
    }
    co_await world.loop->sleep(2min);
    EXPECT_EQ(served.size(), 5u);
    EXPECT_LT(served["b again"], served["a again"]);
  });
}

TEST(Weight, WithAnotherChangeBesideItInstancesAreMadeAnew) {
  World world;
  world.run([&]() -> net::Task<void> {
    co_await world.deploy("f");
    EXPECT_EQ(*(co_await world.call("f")).body, "ok");
    const std::string first = world.conductor->instances()[0].name;
    FunctionSpec wanted = world.spec("f");
    wanted.weight = 2;
    wanted.environment["A"] = "1";
    EXPECT_TRUE(world.conductor->update(World::ref("f"), wanted));
    co_await world.settled(World::ref("f"));
    EXPECT_EQ(*(co_await world.call("f")).body, "ok");
    EXPECT_NE(world.conductor->instances()[0].name, first);
    wanted.weight = 101;
    EXPECT_EQ(world.conductor->update(World::ref("f"), wanted).error().message,
              "okibi.weight: 101 is not in 1–100");
  });
}

TEST(Start, AProcessCannotBeGivenModelDirectories) {
  World world([](Settings& settings) {
    settings.modelRoots = {{"weights", "/srv/models", {}}};
    settings.runtime = "process";
  });
  world.run([&]() -> net::Task<void> {
    FunctionSpec wanted = world.spec("f");
    wanted.modelDirectories = {{"weights", "", "/models"}};
    const auto refused = world.conductor->create(std::string(testing::kAccount), wanted);
    EXPECT_TRUE(contains(refused.error().message, "okibi.modelDirectories: "))
        << refused.error().message;
    EXPECT_TRUE(contains(refused.error().message, "--runtime process"));
    co_return;
  });
}

TEST(Start, AnAppThatExitsIsReportedWithItsLastLines) {
  World world;
  world.runtime.script.output = "loading\nno such model: x.onnx\n";
  world.runtime.script.listens.reset();
  world.runtime.script.exits = 500ms;
  world.runtime.script.exit = {.id = {}, .exitCode = 3};
  world.run([&]() -> net::Task<void> {
    co_await world.deploy("f");
    const Called failed = co_await world.call("f");
    const Error& error = failed.body.error();
    EXPECT_EQ(error.code, "FunctionNotStarted");
    EXPECT_TRUE(contains(error.message, "code 3")) << error.message;
    EXPECT_TRUE(contains(error.message, "no such model: x.onnx")) << error.message;
    EXPECT_TRUE(contains(error.message, "'/app'")) << error.message;
    const auto lines = world.conductor->logs().tail(World::ref("f"), 10);
    EXPECT_EQ(lines.size(), 2u);
  });
}

TEST(Start, AnAppThatNeverListensFailsAfterTwoMinutesWithItsLastLines) {
  World world;
  world.runtime.script.listens.reset();
  world.runtime.script.output = "listening on 8080, not on 9000\n";
  world.run([&]() -> net::Task<void> {
    co_await world.deploy("f");
    const Called failed = co_await world.call("f");
    EXPECT_GE(failed.took, limits::kListenTimeout);
    EXPECT_LE(failed.took, limits::kListenTimeout + 1s);
    const Error& error = failed.body.error();
    EXPECT_EQ(error.code, "FunctionNotStarted");
    EXPECT_TRUE(contains(error.message, "in 120 seconds")) << error.message;
    EXPECT_TRUE(contains(error.message, "not on 9000")) << error.message;
    co_await world.loop->sleep(1s);
    EXPECT_TRUE(world.runtime.running().empty());
  });
}

TEST(Initializer, AFailingOneIsTheFunctionsErrorAndItsTimeIsActive) {
  World world;
  world.run([&]() -> net::Task<void> {
    FunctionSpec spec = world.spec("f");
    spec.initializer.handler = "initialize";
    co_await world.deploy(spec);
    world.runtime.script.app = answers("/initialize", 500);
    const Called failed = co_await world.call("f");
    EXPECT_EQ(failed.body.error().code, "InitializationError");
    EXPECT_TRUE(contains(failed.body.error().message, "status 500"));
    co_await world.loop->sleep(10min);
    world.runtime.script.app = hangs();
    const Called hung = co_await world.call("f");
    EXPECT_EQ(hung.body.error().code, "InitializationError");
    EXPECT_TRUE(contains(hung.body.error().message, "did not finish in 3 s"))
        << hung.body.error().message;
    EXPECT_EQ((co_await world.usage("f")).activeMs, 3000);
    EXPECT_TRUE(world.runtime.running().empty());
  });
}

TEST(Initializer, ACommandIsRunAndItsExitCodeCounts) {
  World world;
  world.run([&]() -> net::Task<void> {
    FunctionSpec spec = world.spec("f");
    spec.initializer.command = {"/load", "model"};
    co_await world.deploy(spec);
    world.runtime.script.executed = 2;
    const Called failed = co_await world.call("f");
    EXPECT_TRUE(contains(failed.body.error().message, "exit code 2"));
    co_await world.loop->sleep(10min);
    world.runtime.script.executed = 0;
    EXPECT_EQ(*(co_await world.call("f")).body, "ok");
    EXPECT_EQ(world.runtime.running().at(0)->commands,
              (std::vector<std::vector<std::string>>{{"/load", "model"}}));
  });
}

TEST(Health, AFirstCheckThatFailsFailsTheStart) {
  World world;
  world.run([&]() -> net::Task<void> {
    FunctionSpec spec = world.spec("f");
    spec.container.healthCheck = HealthCheck{.path = "/ready"};
    co_await world.deploy(spec);
    world.runtime.script.app = answers("/ready", 503);
    const Called failed = co_await world.call("f");
    EXPECT_EQ(failed.body.error().code, "FunctionNotStarted");
    EXPECT_TRUE(contains(failed.body.error().message, "status code: 503"))
        << failed.body.error().message;
  });
}

TEST(Health, AnUnhealthyInstanceGetsNoMoreRequestsUntilItIsWell) {
  World world;
  bool well = true;
  world.run([&]() -> net::Task<void> {
    FunctionSpec spec = world.spec("f");
    spec.concurrency = 2;
    spec.container.healthCheck = HealthCheck{.path = "/ready"};
    world.runtime.script.app = [&](net::Exchange& exchange,
                                   FakeInstance& instance) -> net::Task<void> {
      net::ResponseHead head;
      const bool check = exchange.request().path() == "/ready";
      if (check && !well && instance.id == InstanceId(1)) head.status = 500;
      if (!check) co_await world.loop->sleep(30s);
      co_await net::answer(exchange, std::move(head), "x");
    };
    co_await world.deploy(spec);
    auto background = world.arrive("f");  // keeps the instance awake
    EXPECT_TRUE(background);
    EXPECT_TRUE(co_await world.conductor->admitted(*background));
    well = false;
    co_await world.loop->sleep(10s);  // three checks, three seconds apart
    auto elsewhere = world.arrive("f");
    EXPECT_TRUE(co_await world.conductor->admitted(*elsewhere));
    EXPECT_NE((*elsewhere)->instance->name, (*background)->instance->name);
    well = true;
    co_await world.loop->sleep(5s);
    auto again = world.arrive("f");
    EXPECT_TRUE(co_await world.conductor->admitted(*again));
    EXPECT_EQ(world.runtime.starts(), 2u) << "one of them is well again and has room";
    for (auto* one : {&background, &elsewhere, &again}) {
      EXPECT_TRUE(world.conductor->settle(***one, {}));
      world.conductor->end(***one, planner::Outcome::Completed);
    }
  });
}

// ---- what goes wrong under a request

TEST(Crash, EveryRequestOfTheInstanceGetsTheReasonAndTheNextOneAnotherInstance) {
  World world;
  world.runtime.script.app = hangs();
  world.run([&]() -> net::Task<void> {
    FunctionSpec spec = world.spec("f");
    spec.concurrency = 3;
    co_await world.deploy(spec);
    net::Timer later(*world.loop);
    later.schedule(world.loop->now() + 5s, [&] {
      const InstanceId id = world.runtime.running().at(0)->id;
      world.runtime.print(id, seams::OutputStream::Stderr, "segfault in kernel\n");
      world.runtime.crash(id, {.id = {}, .signal = 11});
    });
    const auto three = co_await world.calls("f", 3);
    for (const Called& called : three) {
      EXPECT_EQ(called.body.error().code, "FunctionUnhandledError");
      EXPECT_TRUE(contains(called.body.error().message, "signal 11"));
      EXPECT_TRUE(contains(called.body.error().message, "segfault in kernel"));
    }
    world.runtime.script.app = {};
    EXPECT_EQ(*(co_await world.call("f")).body, "ok");
    const ledger::Usage usage = co_await world.usage("f");
    EXPECT_EQ(usage.calls, 4);
    EXPECT_EQ(usage.errors, 3);
    EXPECT_GE(usage.activeMs, 4900);  // overlap is counted once
    EXPECT_LE(usage.activeMs, 5100);
  });
}

TEST(Crash, OutOfMemoryIsNamed) {
  World world;
  world.runtime.script.app = hangs();
  world.run([&]() -> net::Task<void> {
    co_await world.deploy("f");
    net::Timer later(*world.loop);
    later.schedule(world.loop->now() + 5s, [&] {
      world.runtime.crash(world.runtime.running().at(0)->id,
                          {.id = {}, .signal = 9, .outOfMemory = true});
    });
    const Called called = co_await world.call("f");
    EXPECT_EQ(called.body.error().code, "FunctionOOMError");
    EXPECT_TRUE(contains(called.body.error().message, "512 MB"));
  });
}

TEST(Crash, ALostLauncherEndsRequestsAndTheNextWaitsForTheNewOne) {
  World world;
  world.runtime.script.app = hangs();
  world.run([&]() -> net::Task<void> {
    co_await world.deploy("f");
    net::Timer later(*world.loop), restored(*world.loop);
    later.schedule(world.loop->now() + 5s, [&] { world.runtime.lose("killed by signal 9"); });
    const Called called = co_await world.call("f");
    EXPECT_FALSE(called.body);
    EXPECT_TRUE(world.conductor->instances().empty());
    world.runtime.script.app = {};
    restored.schedule(world.loop->now() + 3s, [&] { world.runtime.restore(); });
    EXPECT_EQ(*(co_await world.call("f")).body, "ok");
  });
}

TEST(Timeout, ALateRequestReplacesItsInstanceWhenThatServesOneAtATime) {
  World world;
  world.runtime.script.app = hangs();
  world.run([&]() -> net::Task<void> {
    FunctionSpec spec = world.spec("f");
    spec.timeout = Seconds(4);
    co_await world.deploy(spec);
    const Called late = co_await world.call("f");
    EXPECT_EQ(late.body.error().kind, ErrorKind::TimedOut);
    EXPECT_GE(late.took, 4s);
    world.runtime.script.app = {};
    const Called next = co_await world.call("f");
    EXPECT_EQ(*next.body, "ok");
    EXPECT_NE(next.invocation->instance->name, late.invocation->instance->name);
  });
}

TEST(Caller, WhoLeavesTheQueueLeavesNothingBehind) {
  World world([](Settings& settings) { settings.planner.instanceQuota = 1; });
  world.runtime.script.app = works(*world.loop, 20s);
  world.run([&]() -> net::Task<void> {
    co_await world.deploy("f");
    auto served = world.arrive("f");
    EXPECT_TRUE(co_await world.conductor->admitted(*served));
    auto waiting = world.arrive("f");
    EXPECT_TRUE(waiting);
    co_await world.loop->sleep(1s);
    world.conductor->callerLeft(**waiting);
    auto decided = co_await world.conductor->admitted(*waiting);
    EXPECT_EQ(decided.error().kind, ErrorKind::Cancelled);
    world.conductor->callerLeft(**waiting);  // again changes nothing
    world.conductor->callerLeft(**served);
    co_await world.loop->sleep(6s);
    // The one whose request was given up may still be working on it: it goes.
    EXPECT_TRUE(world.runtime.running().empty());
    const auto records = co_await world.records("f");
    EXPECT_EQ(records.size(), 2u);
    for (const auto& record : records) {
      EXPECT_EQ(record.outcome, ledger::Outcome::Cancelled);
      EXPECT_EQ(record.status, 499);
    }
    EXPECT_EQ((co_await world.usage("f")).calls, 1);
  });
}

TEST(Caller, AllWhoWaitMayLeaveDuringTheStart) {
  World world;
  world.runtime.script.listens = 10s;
  world.run([&]() -> net::Task<void> {
    co_await world.deploy("f");
    auto waiting = world.arrive("f");
    EXPECT_TRUE(waiting);
    co_await world.loop->sleep(2s);
    world.conductor->callerLeft(**waiting);
    co_await world.loop->sleep(20s);
    EXPECT_EQ(*(co_await world.call("f")).body, "ok");
  });
}

// ---- deletion and drain

TEST(Delete, RunningCallsFinishWaitingOnesAreRefused) {
  World world([](Settings& settings) { settings.planner.instanceQuota = 1; });
  world.runtime.script.app = works(*world.loop, 20s);
  world.run([&]() -> net::Task<void> {
    co_await world.deploy("f");
    net::Timer later(*world.loop);
    later.schedule(world.loop->now() + 5s,
                   [&] { EXPECT_TRUE(world.conductor->remove(World::ref("f"))); });
    const auto two = co_await world.calls("f", 2);
    EXPECT_EQ(two[0].body.error().code, "FunctionNotFound");
    EXPECT_EQ(two[0].took, 5s);
    EXPECT_EQ(*two[1].body, "done");
    EXPECT_EQ((co_await world.call("f")).body.error().code, "FunctionNotFound");
    co_await world.loop->sleep(10s);
    EXPECT_TRUE(world.runtime.running().empty());
    EXPECT_EQ((co_await world.usage("f")).calls, 1) << "usage outlives the function";
  });
}

TEST(Delete, DuringTheStartAndDuringThePull) {
  World world;
  world.runtime.script.start = 5s;
  world.run([&]() -> net::Task<void> {
    co_await world.deploy("f");
    net::Timer later(*world.loop);
    later.schedule(world.loop->now() + 2s,
                   [&] { EXPECT_TRUE(world.conductor->remove(World::ref("f"))); });
    EXPECT_EQ((co_await world.call("f")).body.error().code, "FunctionNotFound");
    co_await world.loop->sleep(20s);
    EXPECT_TRUE(world.runtime.running().empty()) << "a sandbox nobody knows";
    EXPECT_TRUE(world.conductor->instances().empty());
    world.images->hold("app:1");
    EXPECT_TRUE(world.conductor->create(std::string(testing::kAccount), world.spec("g")));
    co_await world.loop->sleep(1s);
    EXPECT_TRUE(world.conductor->remove(World::ref("g")));
    world.images->release("app:1");
    co_await world.loop->sleep(1s);
    EXPECT_EQ(world.catalog.find(World::ref("g")), nullptr);
  });
}

TEST(Drain, RefusesNewCallsFinishesOldOnesAndStopsEverything) {
  World world;
  world.runtime.script.app = works(*world.loop, 20s);
  world.run([&]() -> net::Task<void> {
    co_await world.deploy("f");
    co_await world.deploy("idle");
    bool drained = false;
    auto drain = [](World& w, bool& done) -> net::Task<void> {
      co_await w.loop->sleep(5s);
      co_await w.conductor->drain(w.loop->now() + 1h);
      done = true;
    };
    world.loop->spawn(drain(world, drained));
    net::Timer later(*world.loop);
    Result<std::shared_ptr<Invocation>> late = fail(ErrorKind::Internal, "not yet");
    later.schedule(world.loop->now() + 6s, [&] { late = world.arrive("f"); });
    const Called called = co_await world.call("f");
    EXPECT_EQ(*called.body, "done");
    EXPECT_TRUE(late);
    auto refused = co_await world.conductor->admitted(*late);
    EXPECT_EQ(refused.error().kind, ErrorKind::Unavailable);
    Ending ending;
    ending.outcome = ledger::Outcome::Refused;
    EXPECT_TRUE(world.conductor->settle(**late, ending));
    co_await world.loop->sleep(10s);
    EXPECT_TRUE(drained);
    EXPECT_TRUE(world.runtime.running().empty());
  });
}

TEST(Drain, CutsOffAtItsDeadlineWhatRunsAndWhatWaits) {
  World world([](Settings& settings) { settings.planner.instanceQuota = 1; });
  world.runtime.script.app = works(*world.loop, 1h);
  world.run([&]() -> net::Task<void> {
    co_await world.deploy("f");
    co_await world.deploy("g");
    auto drain = [](World& w) -> net::Task<void> {
      co_await w.loop->sleep(5s);
      co_await w.conductor->drain(w.loop->now() + 10s);
    };
    world.loop->spawn(drain(world));
    net::Timer later(*world.loop);
    Result<std::shared_ptr<Invocation>> waiting = fail(ErrorKind::Internal, "not yet");
    later.schedule(world.loop->now() + 1s, [&] { waiting = world.arrive("g"); });
    const Instant began = world.loop->now();
    const Called called = co_await world.call("f");
    EXPECT_FALSE(called.body);
    EXPECT_LT(world.loop->now() - began, 60s);
    EXPECT_TRUE(waiting);
    auto refused = co_await world.conductor->admitted(*waiting);
    EXPECT_EQ(refused.error().message, "okibi is shutting down");
    Ending ending;
    ending.outcome = ledger::Outcome::Refused;
    EXPECT_TRUE(world.conductor->settle(**waiting, ending));
    co_await world.loop->sleep(10s);
    EXPECT_TRUE(world.runtime.running().empty());
  });
}

TEST(Views, InstancesCardsAndImagesInUse) {
  World world;
  world.runtime.script.app = works(*world.loop, 20s);
  world.run([&]() -> net::Task<void> {
    FunctionSpec spec = world.spec("f");
    spec.concurrency = 2;
    co_await world.deploy(spec);
    auto served = world.arrive("f");
    EXPECT_TRUE(co_await world.conductor->admitted(*served));
    const auto instances = world.conductor->instances();
    EXPECT_EQ(instances.size(), 1u);
    EXPECT_EQ(instances[0].function, "f");
    EXPECT_EQ(instances[0].inFlight, 1);
    EXPECT_EQ(instances[0].concurrency, 2);
    EXPECT_GT(instances[0].pid, 0);
    EXPECT_EQ(world.conductor->imagesInUse().size(), 2u);  // of the function and its instance
    world.conductor->callerLeft(**served);
  });
}

}  // namespace
}  // namespace okibi::conductor
