// What the conductor does with the driver's news, on a fake inventory.

#include <thread>

#include <gtest/gtest.h>

#include "conductor/testing_world.h"
#include "seams/fake_gpu_inventory.h"

namespace okibi::conductor {
namespace {

using namespace testing;
using namespace std::chrono_literals;

seams::Cards oneCard() {
  seams::CardFacts facts;
  facts.card = {.id = CardId(1),
                .uuid = "GPU-1",
                .type = "fc.gpu.tesla.1",
                .memory = Bytes::gib(14),
                .origin = CardOrigin::Physical};
  return {"615.10", {facts}};
}

class GpuWatch : public ::testing::Test {
 protected:
  FunctionSpec spec() {
    FunctionSpec made = world.spec("f");
    made.cpu = MilliCpu{2000};
    made.memory = Bytes::gib(8);
    made.gpu = GpuConfig{"fc.gpu.tesla.1", Bytes::gib(4)};
    return made;
  }
  std::optional<Bytes> driverLimit() {
    const auto cards = world.conductor->cards();
    return cards.at(0).holders.empty() ? std::nullopt : cards[0].holders[0].driverLimit;
  }

  // Of the only instance of a function.
  int pidOf(const std::string& function) {
    for (const InstanceStatus& status : world.conductor->instances()) {
      if (status.function == function) return status.pid;
    }
    return 0;
  }

  seams::FakeGpuInventory driver{oneCard()};
  World world{{}, {}, &driver};
};

TEST_F(GpuWatch, TheDriverIsAskedToHoldEachSlice) {
  driver.allowCaps();
  world.run([&]() -> net::Task<void> {
    co_await world.deploy(spec());
    EXPECT_TRUE((co_await world.call("f")).body);
    co_await world.loop->sleep(1s);
    const auto caps = driver.caps();
    EXPECT_EQ(caps.size(), 1u);
    EXPECT_EQ(caps.begin()->first.first, CardId(1));
    EXPECT_EQ(caps.begin()->second, Bytes::gib(4) + kGpuAllowance);
    EXPECT_EQ(driverLimit(), Bytes::gib(4) + kGpuAllowance);
  });
}

TEST_F(GpuWatch, WhereTheDriverHoldsNoneTheInstanceServesWithout) {
  world.run([&]() -> net::Task<void> {
    co_await world.deploy(spec());
    EXPECT_TRUE((co_await world.call("f")).body);
    co_await world.loop->sleep(1s);
    EXPECT_EQ(driverLimit(), std::nullopt);
  });
}

// A driver that hangs must cost one worker, and the operator must be able to see it. Virtual time
// stands still while a worker is busy, so the test moves it, and lets real time pass beside it: the
// call goes through sockets and the question to the driver through a thread.
TEST_F(GpuWatch, ADriverThatHangsIsToldOfAndHoldsNobodyUp) {
  world.run([&]() -> net::Task<void> {
    co_await world.deploy(spec());
    driver.hang();
    EXPECT_TRUE(world.conductor->driverAnswers());
    bool served = false;
    world.loop->spawn([](World& w, bool& done) -> net::Task<void> {
      done = (co_await w.call("f")).body.has_value();
    }(world, served));
    for (int turn = 0; turn < 3000 && (world.conductor->driverAnswers() || !served); ++turn) {
      world.clock.advance(20ms);
      co_await world.loop->offload([] { std::this_thread::sleep_for(1ms); });
    }
    EXPECT_FALSE(world.conductor->driverAnswers());
    EXPECT_TRUE(served);
    driver.letGo();
    co_await world.loop->sleep(1s);
    EXPECT_TRUE(world.conductor->driverAnswers());
  });
}

// Two instances on one card, the processes of which are known by "/pid/N".
TEST_F(GpuWatch, AFaultEndsTheInstanceOfTheProcessAtFaultAndNoOther) {
  world.run([&]() -> net::Task<void> {
    FunctionSpec other = spec();
    other.name = "g";
    co_await world.deploy(spec());
    co_await world.deploy(other);
    EXPECT_TRUE((co_await world.call("f")).body);
    EXPECT_TRUE((co_await world.call("g")).body);
    const auto holders = world.conductor->cards().at(0).holders;
    EXPECT_EQ(holders.size(), 2u);
    const auto fault = [&](int pid) {
      driver.addEvent({CardId(1), seams::GpuEventKind::Xid, 31, seams::Consequence::EndInstance,
                       "Xid 31", pid});
    };
    fault(0);        // nobody knows whose
    fault(1 << 30);  // of a process that is not ours
    co_await world.loop->sleep(1s);
    EXPECT_EQ(world.conductor->cards()[0].holders.size(), 2u);
    fault(pidOf("g"));
    co_await world.loop->sleep(1s);
    const auto left = world.conductor->cards()[0].holders;
    EXPECT_EQ(left.size(), 1u);
    EXPECT_EQ(left[0].function.name, "f");
  });
}

}  // namespace
}  // namespace okibi::conductor
