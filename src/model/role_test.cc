#include "model/role.h"

#include <gtest/gtest.h>

namespace okibi {
namespace {

TEST(Role, AllowsWhatAGrantNames) {
  const Role role{"id", {{"InvokeFunction", "a"}, {"Get*", "team-*"}}, {}, {}};
  EXPECT_TRUE(allows(role, "InvokeFunction", "a"));
  EXPECT_FALSE(allows(role, "InvokeFunction", "ab"));
  EXPECT_FALSE(allows(role, "InvokeFunction", "team-1"));
  EXPECT_TRUE(allows(role, "GetFunction", "team-1"));
  EXPECT_TRUE(allows(role, "GetTrigger", "team-"));
  EXPECT_FALSE(allows(role, "GetFunction", "team"));
  EXPECT_FALSE(allows(role, "DeleteFunction", "team-1"));
  EXPECT_FALSE(allows(role, "getfunction", "team-1"));
}

TEST(Role, WhatNamesNoFunctionNeedsTheStar) {
  EXPECT_FALSE(allows({"id", {{"*", "a*"}}, {}, {}}, "ListFunctions", ""));
  EXPECT_TRUE(allows({"id", {{"List*", "*"}}, {}, {}}, "ListFunctions", ""));
  EXPECT_FALSE(allows({}, "ListFunctions", ""));
}

TEST(Role, IsNamedAsFunctionComputeDoesOrAlone) {
  EXPECT_EQ(roleNameIn("acs:ram::17:role/caller", "17"), "caller");
  EXPECT_EQ(roleNameIn("caller", "17"), "caller");
  EXPECT_EQ(roleNameIn("", "17"), "");
  EXPECT_EQ(roleNameIn("acs:ram::170:role/caller", "17"), "");
  EXPECT_EQ(roleNameIn("acs:ram::1:role/caller", "17"), "");
  EXPECT_EQ(roleNameIn("acs:fc::17:role/caller", "17"), "");
  EXPECT_EQ(roleNameIn("acs:ram::17:user/caller", "17"), "");
}

}  // namespace
}  // namespace okibi
