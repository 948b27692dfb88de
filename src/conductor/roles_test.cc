#include "conductor/roles.h"

#include <gtest/gtest.h>

#include "conductor/resource_map.h"
#include "seams/fake_state_store.h"

namespace okibi::conductor {
namespace {

RoleUse useOf(std::string inert) {
  FunctionSpec spec;
  spec.inertFields = std::move(inert);
  return roleUseOf(spec, "17");
}

TEST(Roles, AreReadFromTheFunction) {
  EXPECT_EQ(useOf(""), RoleUse());
  EXPECT_EQ(useOf(R"({"logConfig":{}})"), RoleUse());
  EXPECT_EQ(useOf(R"({"role":"acs:ram::17:role/r"})"), (RoleUse{"r", true, true}));
  EXPECT_EQ(useOf(R"({"role":"acs:ram::18:role/r"})").name, "");
  EXPECT_EQ(useOf(R"({"role":7})").name, "");
  EXPECT_EQ(useOf(R"({"role":"r","disableInjectCredentials":"All"})"),
            (RoleUse{"r", false, false}));
  EXPECT_EQ(useOf(R"({"role":"r","disableInjectCredentials":"Env"})"), (RoleUse{"r", true, false}));
  EXPECT_EQ(useOf(R"({"role":"r","disableInjectCredentials":"Request"})"),
            (RoleUse{"r", false, true}));
}

TEST(Roles, DoWhatTheyAllowAndNoMore) {
  seams::FakeStateStore store;
  ASSERT_TRUE(store.addAccount({"17", {}}));
  ResourceMap resources(store);
  const Role role{"id", {{std::string(kInvokeFunction), "f"}}, {}, {}};
  ASSERT_TRUE(resources.put({{"17", ""}, "r"}, role));
  EXPECT_TRUE(mayAct(resources, "17", "", "DeleteFunction", "f")) << "the account itself";
  EXPECT_TRUE(mayAct(resources, "17", "r", "InvokeFunction", "f"));
  const auto refused = mayAct(resources, "17", "r", "DeleteFunction", "f");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "AccessDenied");
  EXPECT_EQ(refused.error().message, "role 'r' does not allow DeleteFunction on 'f'");
  EXPECT_FALSE(mayAct(resources, "17", "r", "ListFunctions", ""));
  EXPECT_FALSE(mayAct(resources, "18", "r", "InvokeFunction", "f")) << "another account";
  EXPECT_FALSE(mayAct(resources, "17", "gone", "InvokeFunction", "f"));
}

}  // namespace
}  // namespace okibi::conductor
