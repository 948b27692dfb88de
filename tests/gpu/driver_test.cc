// What must hold of any driver, real or fake: NvmlInventory's picture is complete and plausible.
// Changes no setting of a card.

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <regex>
#include <set>

#include <gtest/gtest.h>

#include "gpu/nvml_inventory.h"
#include "model/gpu_spec.h"

namespace okibi::gpu {
namespace {

std::unique_ptr<NvmlInventory> openDriver() {
  NvmlOptions options;
  if (const char* library = std::getenv("OKIBI_NVML_LIBRARY")) options.library = library;
  auto inventory = NvmlInventory::open(options);
  if (!inventory) {
    ADD_FAILURE() << inventory.error().message;
    return nullptr;
  }
  return std::move(*inventory);
}

bool onFake() {
  return std::getenv("OKIBI_FAKE_NVML") != nullptr;
}

TEST(Driver, DescribesItsCards) {
  const auto inventory = openDriver();
  ASSERT_NE(inventory, nullptr);
  const seams::Cards& cards = inventory->describe();
  EXPECT_TRUE(std::regex_match(cards.driverVersion, std::regex("[0-9]{3,}(\\.[0-9]+)+")))
      << cards.driverVersion;
  ASSERT_FALSE(cards.cards.empty());
  std::set<std::string> uuids;
  for (const seams::CardFacts& facts : cards.cards) {
    EXPECT_TRUE(facts.card.uuid.starts_with(facts.mig ? "MIG-" : "GPU-")) << facts.card.uuid;
    EXPECT_TRUE(uuids.insert(facts.card.uuid).second) << "twice: " << facts.card.uuid;
    EXPECT_FALSE(facts.name.empty());
    EXPECT_TRUE(findCardType(facts.card.type) || facts.card.type.starts_with("okibi.gpu."));
    EXPECT_GE(facts.total, Bytes::gib(1));
    EXPECT_LE(facts.total, Bytes::gib(4096));
    EXPECT_LT(facts.reserved, Bytes(facts.total.count() / 4));
    EXPECT_LE(facts.card.memory, facts.total - facts.reserved);
    EXPECT_TRUE(std::regex_match(facts.pciAddress,
                                 std::regex("[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\\.[0-7]")))
        << facts.pciAddress;
    EXPECT_GE(facts.capabilityMajor, 3);
    ASSERT_TRUE(facts.minorNumber);
    const std::string node = "/dev/nvidia" + std::to_string(*facts.minorNumber);
    if (!onFake()) EXPECT_TRUE(std::filesystem::exists(node)) << node;
  }
}

TEST(Driver, SaysWhatIsUsed) {
  const auto inventory = openDriver();
  ASSERT_NE(inventory, nullptr);
  const auto use = inventory->use();
  ASSERT_TRUE(use) << use.error().message;
  const auto& cards = inventory->describe().cards;
  ASSERT_EQ(use->cards.size(), cards.size());
  for (std::size_t i = 0; i < cards.size(); ++i) {
    EXPECT_EQ(use->cards[i].card, cards[i].card.id);
    EXPECT_LE(use->cards[i].used, cards[i].total);
    if (use->cards[i].busyPercent) EXPECT_LE(*use->cards[i].busyPercent, 100);
  }
  for (const seams::ProcessUse& process : use->processes) EXPECT_GT(process.pid, 0);
}

TEST(Driver, HasNoEventWhileNothingHappens) {
  const auto inventory = openDriver();
  ASSERT_NE(inventory, nullptr);
  const auto event = inventory->waitForEvent(Duration::zero());
  if (!event) GTEST_SKIP() << "no events here: " << event.error().message;
  EXPECT_FALSE(*event);
}

TEST(Driver, RefusesALimitForACgroupThatIsNotThere) {
  if (onFake()) GTEST_SKIP() << "the fake driver knows no cgroups";
  const auto inventory = openDriver();
  ASSERT_NE(inventory, nullptr);
  EXPECT_FALSE(inventory->capMemory(CardId(1), 1 << 30, Bytes::gib(1)));  // no such process
}

}  // namespace
}  // namespace okibi::gpu

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (!okibi::gpu::onFake() && !std::filesystem::exists("/dev/nvidiactl")) {
    std::puts("not run: no GPU");
    return 77;
  }
  return RUN_ALL_TESTS();
}
