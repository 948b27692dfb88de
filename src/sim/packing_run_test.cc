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
