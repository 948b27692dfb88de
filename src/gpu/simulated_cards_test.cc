#include "gpu/simulated_cards.h"

#include <gtest/gtest.h>

namespace okibi::gpu {
namespace {

TEST(SimulatedCards, AreMadeAsNamedAndLabelled) {
  const auto cards = parseSimulatedCards("fc.gpu.tesla.1=2, fc.gpu.ada.1");
  ASSERT_TRUE(cards);
  ASSERT_EQ(cards->size(), 3u);
  EXPECT_EQ((*cards)[1].type, "fc.gpu.tesla.1");
  EXPECT_EQ((*cards)[1].memory, Bytes::gib(16));
  EXPECT_EQ((*cards)[2].memory, Bytes::gib(48));
  for (const Card& card : *cards) EXPECT_EQ(card.origin, CardOrigin::Simulated);
  EXPECT_NE((*cards)[0].id, (*cards)[1].id);
}

TEST(SimulatedCards, NoneMeansNone) {
  EXPECT_TRUE(parseSimulatedCards("")->empty());
}

TEST(SimulatedCards, BadTextNamesThePart) {
  EXPECT_NE(parseSimulatedCards("fc.gpu.tesla=1").error().message.find("fc.gpu.tesla'"),
            std::string::npos);
  for (const char* text : {"fc.gpu.tesla.1=0", "fc.gpu.tesla.1=-1", "fc.gpu.tesla.1=x",
                           "fc.gpu.tesla.1=2x", "fc.gpu.tesla.1=1025", "=2"}) {
    EXPECT_FALSE(parseSimulatedCards(text)) << text;
  }
}

TEST(SimulatedInventory, IsNothingButSimulated) {
  SimulatedInventory inventory(*parseSimulatedCards("fc.gpu.tesla.1=2"));
  EXPECT_EQ(inventory.describe().driverVersion, "");
  ASSERT_EQ(inventory.describe().cards.size(), 2u);
  for (const seams::CardFacts& facts : inventory.describe().cards) {
    EXPECT_EQ(facts.card.origin, CardOrigin::Simulated);
    EXPECT_TRUE(facts.name.starts_with("simulated"));
  }
  ASSERT_TRUE(inventory.use());
  EXPECT_EQ(inventory.use()->cards.size(), 2u);
  EXPECT_TRUE(inventory.use()->processes.empty());
  EXPECT_FALSE(inventory.waitForEvent(Duration::zero()));
}

}  // namespace
}  // namespace okibi::gpu
