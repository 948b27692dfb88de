#include "sim/packing_run.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "planner/pack_reserve.h"

namespace okibi::sim {
namespace {

using planner::PackDemand;
using planner::Packer;
using planner::PackNode;
using planner::PackPolicy;

PackingLists extract() {
  Result<PackingLists> lists = PackingLists::read(OKIBI_TEST_DATA "/openb_nodes_extract.csv",
                                                  OKIBI_TEST_DATA "/openb_pods_extract.csv");
  EXPECT_TRUE(lists) << lists.error().message;
  return std::move(*lists);
}

double meanAlloc(const PackingLists& lists, PackPolicy policy) {
  double sum = 0;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) sum += pack(lists, policy, seed).alloc100;
  return sum / 3;
}

TEST(Packing, AwarenessOfFragmentationPays) {
  const PackingLists lists = extract();
  const double random = meanAlloc(lists, PackPolicy::Random);
  const double bestFit = meanAlloc(lists, PackPolicy::BestFit);
  const double fgd = meanAlloc(lists, PackPolicy::Fgd);
  EXPECT_GT(bestFit, random + 2);
  EXPECT_GT(fgd, random + 2);
  EXPECT_GT(meanAlloc(lists, PackPolicy::Okibi), random + 2);
}

TEST(Packing, TheSameSeedPlacesTheSame) {
  const PackingLists lists = extract();
  for (PackPolicy policy : {PackPolicy::Random, PackPolicy::Okibi}) {
    EXPECT_EQ(pack(lists, policy, 5).alloc130, pack(lists, policy, 5).alloc130);
  }
}

TEST(Packing, NothingIsOverbookedAndModelsAreHeard) {
  const PackNode node{4000, 100, {1000, 1000}, "A"};
  Packer packer({node, {64000, 100, {1000}, "B"}}, {}, PackPolicy::Okibi, 1);
  EXPECT_FALSE(packer.place({1000, 10, 2, 1000, {"B"}}));
  EXPECT_FALSE(packer.place({1000, 200, 1, 100, {}}));
  EXPECT_TRUE(packer.place({1000, 10, 1, 600, {"A"}}));
  EXPECT_FALSE(packer.place({1000, 10, 2, 1000, {}}));
  EXPECT_TRUE(packer.place({1000, 10, 1, 1000, {"A"}}));
  EXPECT_TRUE(packer.place({1000, 10, 1, 400, {"A"}}));
  EXPECT_FALSE(packer.place({1000, 10, 1, 1, {"A"}}));
  EXPECT_EQ(packer.nodes()[0].freeCards(), 0);
  EXPECT_EQ(packer.nodes()[0].cpu, 1000);
  EXPECT_EQ(packer.nodes()[1].freeCards(), 1000);
}

TEST(Packing, AFractionGoesWhereItLeavesWholeCardsWhole) {
  const std::vector<planner::TypicalDemand> typical{{1000, 1, 1000, 0.5, {}},
                                                    {1000, 1, 500, 0.5, {}}};
  for (PackPolicy policy : {PackPolicy::Fgd, PackPolicy::Okibi, PackPolicy::BestFit}) {
    Packer packer({{64000, 100, {1000, 1000}, "A"}}, typical, policy, 1);
    EXPECT_TRUE(packer.place({1000, 10, 1, 500, {}}));
    EXPECT_TRUE(packer.place({1000, 10, 1, 500, {}}));
    EXPECT_EQ(std::ranges::count(packer.nodes()[0].cards, 1000), 1);
  }
}

TEST(Packing, AModelThatOthersNeedIsLeftToThem) {
  const std::vector<planner::TypicalDemand> typical{{1000, 1, 1000, 0.7, {}},
                                                    {1000, 1, 1000, 0.3, {"B"}}};
  std::vector<PackNode> nodes;
  for (const char* model : {"B", "A", "B", "A"}) nodes.push_back({4000, 100, {1000}, model});
  Packer packer(nodes, typical, PackPolicy::Okibi, 1);
  EXPECT_TRUE(packer.place({1000, 10, 1, 1000, {}}));
  EXPECT_TRUE(packer.place({1000, 10, 1, 1000, {}}));
  for (const PackNode& node : packer.nodes()) EXPECT_EQ(node.freeCards() == 0, node.model == "A");
}

TEST(Packing, WholeNodesAreLeftToThoseWhoNeedThem) {
  const std::vector<planner::TypicalDemand> typical{{1000, 1, 1000, 0.8, {}},
                                                    {4000, 4, 1000, 0.2, {}}};
  const std::vector<std::int64_t> four(4, 1000);
  Packer packer({{64000, 100, four, "A"}, {64000, 100, {1000, 1000}, "A"}}, typical,
                PackPolicy::Okibi, 1);
  EXPECT_TRUE(packer.place({1000, 10, 1, 1000, {}}));
  EXPECT_TRUE(packer.place({1000, 10, 1, 1000, {}}));
  EXPECT_TRUE(packer.place({4000, 10, 4, 1000, {}}));
}

TEST(Packing, MemoryThatWouldRunOutBeforeTheCardsCounts) {
  // A demand that takes much memory goes where there is memory for the cards that are left too.
  const std::vector<planner::TypicalDemand> typical{{1000, 1, 1000, 1, {}, 50}};
  Packer packer({{64000, 100, {1000, 1000}, "A"}, {64000, 130, {1000, 1000}, "A"}}, typical,
                PackPolicy::Okibi, 1);
  EXPECT_TRUE(packer.place({1000, 80, 1, 1000, {}}));
  EXPECT_EQ(packer.nodes()[1].memory, 50);
}

TEST(Packing, MuchCpuGoesWhereCpuWouldBeLeftOver) {
  const std::vector<planner::TypicalDemand> typical{{20000, 1, 1000, 0.5, {}},
                                                    {4000, 1, 1000, 0.5, {}}};
  const std::vector<PackNode> nodes{{24000, 100, {1000, 1000}, "A"}, {90000, 100, {1000}, "A"}};
  Packer much(nodes, typical, PackPolicy::Okibi, 1);
  EXPECT_TRUE(much.place({20000, 10, 1, 1000, {}}));
  EXPECT_EQ(much.nodes()[1].freeCards(), 0);
  Packer little(nodes, typical, PackPolicy::Okibi, 1);
  EXPECT_TRUE(little.place({4000, 10, 1, 1000, {}}));
  EXPECT_EQ(little.nodes()[0].freeCards(), 1000);
}

TEST(Packing, DemandsWithoutCardsDoNotKeepCardsOpen) {
  // They could use the spare CPU whether or not a card is free: two halves share one.
  const std::vector<planner::TypicalDemand> typical{
      {8000, 1, 1000, 0.3, {}}, {8000, 1, 470, 0.3, {}}, {20000, 0, 0, 0.4, {}}};
  const PackNode node{104000, 100, {1000, 1000}, "A"};
  Packer packer({node, node}, typical, PackPolicy::Okibi, 1);
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(packer.place({8000, 10, 1, 1000, {}}));
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(packer.place({8000, 10, 1, 470, {}}));
  std::int64_t whole = 0;
  for (const PackNode& one : packer.nodes()) whole += std::ranges::count(one.cards, 1000);
  EXPECT_EQ(whole, 1);
}

TEST(Packing, AGapThatFewWillCloseIsNotLeftOpen) {
  // 350 of a card are left where a demand of 650 goes alone, and one in fifty could use them.
  const std::vector<planner::TypicalDemand> typical{
      {1000, 1, 1000, 0.49, {}}, {1000, 1, 650, 0.49, {}}, {1000, 1, 350, 0.02, {}}};
  Packer packer({{64000, 100, {1000, 1000}, "A"}}, typical, PackPolicy::Okibi, 1);
  EXPECT_TRUE(packer.place({1000, 10, 1, 650, {}}));
  EXPECT_TRUE(packer.place({1000, 10, 1, 350, {}}));
  EXPECT_EQ(std::ranges::count(packer.nodes()[0].cards, 1000), 1);
}

TEST(Reserve, RoomIsDearWhenItIsScarce) {
  const std::vector<planner::TypicalDemand> typical{{1000, 1, 1000, 0.5, {}},
                                                    {4000, 2, 1000, 0.25, {}}};
  const PackNode pair{64000, 100, {1000, 1000}, "A"}, single{64000, 100, {1000}, "A"};
  const std::vector<PackNode> plenty(10, pair);
  planner::PackReserve reserve(plenty, typical);
  // Half of the cards asked for are asked for in pairs.
  const auto room = reserve.roomIn(pair);
  ASSERT_EQ(room.size(), 1u);
  EXPECT_EQ(room[0].second, 2);
  EXPECT_TRUE(reserve.roomIn(single).empty());
  const auto lost = planner::PackReserve::lost(room, reserve.roomIn(single));
  ASSERT_EQ(lost.size(), 1u);
  EXPECT_EQ(lost[0].second, 2);
  const double cheap = reserve.price(lost);
  EXPECT_GT(cheap, 0);
  // Pairs are broken up by single cards: what is left of them gets dearer, up to a limit.
  for (int i = 0; i < 5; ++i) reserve.take(1000, lost);
  const double dear = reserve.price(lost);
  EXPECT_GT(dear, 2 * cheap);
  for (int i = 0; i < 4; ++i) reserve.take(1000, lost);
  EXPECT_EQ(reserve.price(lost), 2 * 0.7);
}

TEST(Reserve, DemandsThatOtherNodesCouldTakeArePricedApart) {
  // Pairs with much CPU fit on every fifth node only, where pairs with little must not go; of room
  // for pairs as such there is plenty.
  const std::vector<planner::TypicalDemand> typical{
      {1000, 1, 1000, 0.5, {}}, {4000, 2, 1000, 0.05, {}}, {90000, 2, 1000, 0.05, {}}};
  const PackNode large{96000, 100, {1000, 1000}, "A"}, small{64000, 100, {1000, 1000}, "A"};
  std::vector<PackNode> nodes(8, small);
  nodes.resize(10, large);
  const planner::PackReserve reserve(nodes, typical);
  const auto inLarge = reserve.roomIn(large), inSmall = reserve.roomIn(small);
  ASSERT_EQ(inLarge.size(), 2u);
  ASSERT_EQ(inSmall.size(), 1u);
  EXPECT_GT(reserve.price(inLarge), 50 * reserve.price(inSmall));
  Packer packer(nodes, typical, PackPolicy::Okibi, 1);
  for (int i = 0; i < 8; ++i) EXPECT_TRUE(packer.place({4000, 10, 2, 1000, {}}));
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(packer.place({90000, 10, 2, 1000, {}}));
}

TEST(Reserve, CpuMemoryAndModelLimitTheRoom) {
  const std::vector<planner::TypicalDemand> typical{{8000, 1, 1000, 0.5, {"B"}, 40},
                                                    {8000, 1, 500, 0.5, {"A"}, 10}};
  const PackNode node{16000, 100, {1000, 1000, 1000, 600}, "B"};
  const PackNode other{80000, 30, {1000, 1000}, "A"};
  const planner::PackReserve reserve(std::vector{node, other}, typical);
  ASSERT_EQ(reserve.roomIn(node).size(), 1u);
  EXPECT_EQ(reserve.roomIn(node)[0].second, 2);  // CPU for two, memory for two
  EXPECT_EQ(reserve.roomIn({8000, 100, {1000, 1000}, "B"})[0].second, 1);
  EXPECT_EQ(reserve.roomIn(other)[0].second, 1.5);
}

TEST(Packing, TypicalDemandsAreTheMostFrequent) {
  std::vector<PackDemand> pods(96, PackDemand{1000, 1, 1, 500, {}});
  pods.resize(100, PackDemand{2000, 1, 2, 1000, {}});
  const auto typical = typicalOf(pods, Shape::Plain);
  ASSERT_EQ(typical.size(), 1u);
  EXPECT_EQ(typical[0].perCard, 500);
  EXPECT_EQ(typical[0].share, 1);
  EXPECT_EQ(typicalOf(pods, Shape::Full).size(), 2u);
}

}  // namespace
}  // namespace okibi::sim
