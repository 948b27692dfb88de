#include "conductor/resource_map.h"

#include <gtest/gtest.h>

#include "seams/fake_state_store.h"

namespace okibi::conductor {
namespace {

class ResourceMapTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(store_.addAccount({"acc", {}})); }

  const FunctionRef f_{"acc", "f"}, g_{"acc", "g"};
  seams::FakeStateStore store_;
  ResourceMap map_{store_};
};

TEST_F(ResourceMapTest, KindsAndOwnersAreApart) {
  ASSERT_TRUE(map_.put({f_, "x"}, ConcurrencyCap{1}));
  ASSERT_TRUE(map_.put({f_, "x"}, VersionCounter{2}));
  ASSERT_TRUE(map_.put({g_, "x"}, ConcurrencyCap{3}));
  EXPECT_EQ(map_.find<ConcurrencyCap>(f_, "x")->reserved, 1);
  EXPECT_EQ(map_.find<VersionCounter>(f_, "x")->last, 2);
  EXPECT_EQ(map_.find<ConcurrencyCap>(g_, "x")->reserved, 3);
  EXPECT_EQ(map_.find<ConcurrencyCap>(f_, "y"), nullptr);
  EXPECT_EQ(map_.of<ConcurrencyCap>(f_).size(), 1u);
  EXPECT_EQ(map_.all<ConcurrencyCap>().size(), 2u);
  EXPECT_TRUE(map_.all<Alias>().empty());
}

TEST_F(ResourceMapTest, WhatWasPutIsThereAfterALoad) {
  ASSERT_TRUE(map_.put({f_, "1"}, ConcurrencyCap{1}));
  ASSERT_TRUE(map_.put({f_, "1"}, ConcurrencyCap{5}));
  ASSERT_TRUE(map_.put({f_, "2"}, ConcurrencyCap{2}));
  ASSERT_TRUE(map_.remove<ConcurrencyCap>({f_, "2"}));
  ASSERT_TRUE(map_.remove<ConcurrencyCap>({f_, "never"}));
  ResourceMap again(store_);
  ASSERT_TRUE(again.load());
  ASSERT_EQ(again.of<ConcurrencyCap>(f_).size(), 1u);
  EXPECT_EQ(again.find<ConcurrencyCap>(f_, "1")->reserved, 5);
}

TEST_F(ResourceMapTest, AFailedWriteChangesNothing) {
  ASSERT_TRUE(map_.put({f_, ""}, ConcurrencyCap{1}));
  store_.failWrites(2, {ErrorKind::Exhausted, "disk full", ""});
  EXPECT_EQ(map_.put({f_, ""}, ConcurrencyCap{2}).error().kind, ErrorKind::Exhausted);
  EXPECT_EQ(map_.remove<ConcurrencyCap>({f_, ""}).error().kind, ErrorKind::Exhausted);
  EXPECT_EQ(map_.find<ConcurrencyCap>(f_)->reserved, 1);
}

TEST_F(ResourceMapTest, AFunctionTakesItsOwnAlong) {
  ASSERT_TRUE(map_.put({f_, ""}, ConcurrencyCap{1}));
  ASSERT_TRUE(map_.put({f_, "a"}, Alias{}));
  ASSERT_TRUE(map_.put({g_, "a"}, Alias{}));
  map_.forget(f_);
  EXPECT_EQ(map_.find<ConcurrencyCap>(f_), nullptr);
  EXPECT_EQ(map_.all<Alias>().size(), 1u);
}

}  // namespace
}  // namespace okibi::conductor
