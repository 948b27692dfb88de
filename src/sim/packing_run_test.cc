#include "sim/packing_run.h"

#include <algorithm>

#include <gtest/gtest.h>

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

TEST(Packing, TypicalDemandsAreTheMostFrequent) {
  std::vector<PackDemand> pods(96, PackDemand{1000, 1, 1, 500, {}});
  pods.resize(100, PackDemand{2000, 1, 2, 1000, {}});
  const auto typical = typicalOf(pods, Shape::Plain);
  ASSERT_EQ(typical.size(), 1u);
  EXPECT_EQ(typical[0].perCard, 500);
  EXPECT_EQ(typical[0].share, 1);
}

}  // namespace
}  // namespace okibi::sim
