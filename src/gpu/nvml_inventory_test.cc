#include "gpu/nvml_inventory.h"

#include <gtest/gtest.h>

#include "gpu/testing_driver.h"

namespace okibi::gpu {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kTwoCards = R"(driver 580.95.05
device
  uuid GPU-aaaa
  name Tesla T4
  total 16106127360
  reserved 471859200
  used 2147483648
  pci 00000000:17:00.0
  numa 1
  minor 3
  capability 7 5
  busy 37
  process 100 1073741824
  process 101 536870912
  process 102 -
device
  uuid GPU-bbbb
  name NVIDIA H100 80GB HBM3
  total 85520809984
  reserved 656146432
  pci 00000000:CA:00.0
  minor 0
  capability 9 0
)";

NvmlOptions options(const FakeWorld& world) {
  NvmlOptions made;
  made.library = OKIBI_FAKE_NVML_LIBRARY;
  made.procRoot = world.directory().path() / "proc";
  made.sysRoot = world.directory().path() / "sys";
  made.kernelLog = world.directory().path() / "kmsg";
  return made;
}

// Process 100, in a group of its own of a machine with version 2 alone.
void putProcess(const FakeWorld& world) {
  world.directory().write("proc/100/cgroup", "0::/okibi/a\n");
  world.directory().write("proc/self/mountinfo",
                          "24 1 0:5 / /sys rw - sysfs sysfs rw\n"
                          "31 24 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
}

TEST(NvmlInventory, ReadsWhatTheDriverSays) {
  FakeWorld world(kTwoCards);
  world.directory().write("sys/bus/pci/devices/0000:ca:00.0/numa_node", "2\n");
  auto inventory = NvmlInventory::open(options(world));
  ASSERT_TRUE(inventory) << inventory.error().message;
  const seams::Cards& cards = (*inventory)->describe();
  EXPECT_EQ(cards.driverVersion, "580.95.05");
  ASSERT_EQ(cards.cards.size(), 2u);
  const seams::CardFacts& t4 = cards.cards[0];
  EXPECT_EQ(t4.card.id, CardId(1));
  EXPECT_EQ(t4.card.uuid, "GPU-aaaa");
  EXPECT_EQ(t4.card.type, "fc.gpu.tesla.1");
  EXPECT_EQ(t4.card.origin, CardOrigin::Physical);
  EXPECT_EQ(t4.card.memory, Bytes::gib(14));
  EXPECT_EQ(t4.total, Bytes::gib(15));
  EXPECT_EQ(t4.reserved, Bytes::mib(450));
  EXPECT_EQ(t4.pciAddress, "0000:17:00.0");
  EXPECT_EQ(t4.numaNode, 1);
  EXPECT_EQ(t4.minorNumber, 3);
  EXPECT_EQ(t4.capabilityMajor, 7);
  EXPECT_EQ(t4.capabilityMinor, 5);
  EXPECT_FALSE(t4.mig);
  const seams::CardFacts& h100 = cards.cards[1];
  EXPECT_EQ(h100.card.type, "okibi.gpu.h100-80gb-hbm3");
  EXPECT_EQ(h100.card.memory, Bytes::gib(79));
  EXPECT_EQ(h100.minorNumber, 0);
  EXPECT_EQ(h100.numaNode, 2) << "where NVML does not know, sysfs does";
}

TEST(NvmlInventory, SumsNothingButListsWhoUsesACard) {
  FakeWorld world(kTwoCards);
  world.directory().write("proc/100/cgroup", "0::/okibi/r-1/s-1\n");
  world.directory().write("proc/101/cgroup",
                          "3:cpu:/x\n2:memory:/okibi/r-1/s-2\n1:freezer:/y\n0::/\n");
  auto inventory = NvmlInventory::open(options(world));
  ASSERT_TRUE(inventory);
  const auto use = (*inventory)->use();
  ASSERT_TRUE(use);
  ASSERT_EQ(use->cards.size(), 2u);
  EXPECT_EQ(use->cards[0].used, Bytes::gib(2));
  EXPECT_EQ(use->cards[0].busyPercent, 37);
  EXPECT_EQ(use->cards[1].busyPercent, std::nullopt);
  ASSERT_EQ(use->processes.size(), 3u);
  EXPECT_EQ(use->processes[0].cgroup, "/okibi/r-1/s-1");
  EXPECT_EQ(use->processes[0].memory, Bytes::gib(1));
  EXPECT_EQ(use->processes[1].cgroup, "/okibi/r-1/s-2");
  EXPECT_EQ(use->processes[1].card, CardId(1));
  EXPECT_EQ(use->processes[2].cgroup, "") << "a process that is gone";
  EXPECT_EQ(use->processes[2].memory, std::nullopt);
}

TEST(NvmlInventory, ManyProcessesAreAllListed) {
  std::string text(kTwoCards);
  for (int pid = 1000; pid < 1100; ++pid) text += "  process " + std::to_string(pid) + " 4096\n";
  FakeWorld world(text);
  auto inventory = NvmlInventory::open(options(world));
  ASSERT_TRUE(inventory);
  const auto use = (*inventory)->use();
  ASSERT_TRUE(use);
  EXPECT_EQ(use->processes.size(), 103u);
}

TEST(NvmlInventory, ACardThatFailsIsLeftOutOfUse) {
  FakeWorld world(kTwoCards);
  auto inventory = NvmlInventory::open(options(world));
  ASSERT_TRUE(inventory);
  world.set(
      "driver 580.95.05\nfail nvmlDeviceGetMemoryInfo_v2 15\nfail nvmlDeviceGetMemoryInfo 15\n");
  EXPECT_FALSE((*inventory)->use());
  std::filesystem::remove(world.directory().path() / "state");
  EXPECT_FALSE((*inventory)->use()) << "the driver is gone";
}

TEST(NvmlInventory, WithoutADriverThereAreNoCardsAndNoCrash) {
  const auto kindOf = [](const NvmlOptions& how) { return NvmlInventory::open(how).error().kind; };
  NvmlOptions none;
  none.library = "/nonexistent/libnvidia-ml.so.1";
  EXPECT_EQ(kindOf(none), ErrorKind::NotFound);
  none.library = OKIBI_FAKE_NVML_LIBRARY;  // without a world: "driver not loaded"
  EXPECT_EQ(kindOf(none), ErrorKind::NotFound);
  none.library = "libm.so.6";
  EXPECT_EQ(kindOf(none), ErrorKind::Unavailable);
  FakeWorld world("driver 580.95.05\nfail nvmlInit_v2 4\n");
  EXPECT_EQ(kindOf(options(world)), ErrorKind::Unavailable);
}

TEST(NvmlInventory, AnOldDriverSaysLess) {
  FakeWorld world(kTwoCards);
  NvmlOptions old = options(world);
  old.library = OKIBI_FAKE_NVML_OLD_LIBRARY;
  auto inventory = NvmlInventory::open(old);
  ASSERT_TRUE(inventory) << inventory.error().message;
  ASSERT_EQ((*inventory)->describe().cards.size(), 2u);
  const seams::CardFacts& t4 = (*inventory)->describe().cards[0];
  EXPECT_EQ(t4.reserved, Bytes());
  EXPECT_EQ(t4.card.memory, Bytes::gib(15));
  EXPECT_EQ(t4.capabilityMajor, 0);
  const auto use = (*inventory)->use();
  ASSERT_TRUE(use);
  EXPECT_TRUE(use->processes.empty());
  EXPECT_FALSE((*inventory)->waitForEvent(0s));
  EXPECT_FALSE((*inventory)->capMemory(CardId(1), 100, Bytes::gib(1)));
}

constexpr std::string_view kPartitioned = R"(driver 580.95.05
device
  uuid GPU-cccc
  name NVIDIA A100-SXM4-40GB
  total 42949672960
  pci 00000000:31:00.0
  minor 2
  capability 8 0
  part MIG-1 1 0 10468982784 NVIDIA A100-SXM4-40GB MIG 2g.10gb
  part MIG-2 2 0 4999610368 NVIDIA A100-SXM4-40GB MIG 1g.5gb
)";

TEST(NvmlInventory, PartitionsAreCards) {
  FakeWorld world(kPartitioned);
  auto inventory = NvmlInventory::open(options(world));
  ASSERT_TRUE(inventory);
  const auto& cards = (*inventory)->describe().cards;
  ASSERT_EQ(cards.size(), 2u);
  EXPECT_EQ(cards[0].card.uuid, "MIG-1");
  EXPECT_EQ(cards[0].card.type, "okibi.gpu.a100-sxm4-40gb-mig-2g.10gb");
  EXPECT_EQ(cards[0].card.memory, Bytes::gib(9));
  EXPECT_EQ(cards[0].minorNumber, 2) << "the parent's node";
  ASSERT_TRUE(cards[1].mig);
  EXPECT_EQ(cards[1].mig->parentUuid, "GPU-cccc");
  EXPECT_EQ(cards[1].mig->gpuInstance, 2);
  EXPECT_EQ(cards[1].card.id, CardId(2));
}

TEST(NvmlInventory, OperatorsNamesComeFirst) {
  FakeWorld world(kTwoCards);
  NvmlOptions how = options(world);
  how.rules = {{"*H100*", "fc.gpu.hopper.1", {}}, {"Tesla T4", "okibi.gpu.small", Bytes::gib(32)}};
  auto inventory = NvmlInventory::open(how);
  ASSERT_TRUE(inventory);
  EXPECT_EQ((*inventory)->describe().cards[0].card.type, "fc.gpu.tesla.1") << "too small for it";
  EXPECT_EQ((*inventory)->describe().cards[1].card.type, "fc.gpu.hopper.1");
}

TEST(NvmlInventory, EventsSayWhatTheyMean) {
  FakeWorld world(kTwoCards);
  const auto kernelLog = world.directory().write("kmsg", "");
  auto inventory = NvmlInventory::open(options(world));
  ASSERT_TRUE(inventory);
  const auto none = (*inventory)->waitForEvent(0s);
  ASSERT_TRUE(none);
  EXPECT_FALSE(*none);
  world.set(std::string("event 0 xid 31\nevent 1 xid 79\nevent 1 ecc 0\nevent 0 xid 5\n") +
            std::string(kTwoCards));
  std::ofstream(kernelLog, std::ios::app)
      << "NVRM: Xid (PCI:0000:17:00): 31, pid=4242, name=python3\n";
  const auto next = [&] { return (*inventory)->waitForEvent(30s).value().value(); };
  const seams::GpuEvent fault = next();
  EXPECT_EQ(fault.card, CardId(1));
  EXPECT_EQ(fault.code, 31u);
  EXPECT_EQ(fault.consequence, seams::Consequence::EndInstance);
  EXPECT_EQ(fault.pid, 4242);
  const seams::GpuEvent fallen = next();
  EXPECT_EQ(fallen.card, CardId(2));
  EXPECT_EQ(fallen.consequence, seams::Consequence::TakeCardOut);
  EXPECT_EQ(fallen.pid, 0);
  EXPECT_EQ(fallen.text, "Xid 79: the card has fallen off the bus");
  EXPECT_EQ(next().consequence, seams::Consequence::TakeCardOut);
  EXPECT_EQ(next().consequence, seams::Consequence::Report);
}

TEST(NvmlInventory, DriverMemoryLimitsAreSetAndReadBack) {
  FakeWorld world(std::string(kTwoCards) + "  limits\n");
  putProcess(world);
  auto inventory = NvmlInventory::open(options(world));
  ASSERT_TRUE(inventory);
  EXPECT_TRUE((*inventory)->capMemory(CardId(2), 100, Bytes::gib(4)));
  const auto kindOf = [&](CardId card, int pid) {
    return (*inventory)->capMemory(card, pid, Bytes::gib(4)).error().kind;
  };
  EXPECT_EQ(kindOf(CardId(1), 100), ErrorKind::Unavailable);  // a card that has none
  EXPECT_EQ(kindOf(CardId(9), 100), ErrorKind::NotFound);
  EXPECT_EQ(kindOf(CardId(), 100), ErrorKind::NotFound);
  EXPECT_EQ(kindOf(CardId(2), 101), ErrorKind::Unavailable);  // it is gone
}

TEST(NvmlInventory, ALimitTheDriverDoesNotKeepIsNone) {
  FakeWorld world(std::string(kTwoCards) + "  limits\n  limits-lie 1073741824\n");
  putProcess(world);
  auto inventory = NvmlInventory::open(options(world));
  ASSERT_TRUE(inventory);
  const auto set = (*inventory)->capMemory(CardId(2), 100, Bytes::gib(4));
  ASSERT_FALSE(set);
  EXPECT_NE(set.error().message.find("memory limit of /sys/fs/cgroup/okibi/a: 4294967296 bytes"),
            std::string::npos)
      << set.error().message;
  EXPECT_NE(set.error().message.find("5368709120"), std::string::npos) << set.error().message;
}

}  // namespace
}  // namespace okibi::gpu
