#include "gateway/role_credentials.h"

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "seams/fake_state_store.h"

namespace okibi::gateway {
namespace {

using conductor::CredentialPlace;
using namespace std::chrono_literals;

const WallTime kNow = *parseIso8601("2026-11-24T08:35:00Z");
const std::string kAccount = "17";

class RoleCredentialsTest : public ::testing::Test {
 protected:
  RoleCredentialsTest() { EXPECT_TRUE(store.addAccount({kAccount, {}})); }
  void makeRole(std::string id) {
    const Role role{std::move(id), {{"InvokeFunction", "*"}}, kNow, kNow};
    ASSERT_TRUE(catalog.resources().put({{kAccount, ""}, "r"}, role));
  }
  auto give(WallTime now, CredentialPlace place = CredentialPlace::Request) {
    return credentials.give(kAccount, "r", place, now);
  }
  std::string codeAt(const conductor::Credentials& key, WallTime now) {
    const auto found = credentials.find(key.id, key.token, now);
    return found ? "accepted" : found.error().code;
  }

  seams::FakeStateStore store;
  conductor::Catalog catalog{store};
  RoleCredentials credentials{catalog, std::string(64, 'm')};
};

TEST_F(RoleCredentialsTest, OnlyARoleThatExistsHasAny) {
  EXPECT_EQ(give(kNow), nullptr);
  makeRole("1");
  const auto key = give(kNow);
  ASSERT_NE(key, nullptr);
  EXPECT_EQ(credentials.give("18", "r", CredentialPlace::Request, kNow), nullptr);
  const auto found = credentials.find(key->id, key->token, kNow);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->key.account, kAccount);
  EXPECT_EQ(found->key.secret, key->secret);
  EXPECT_EQ(found->role, "r");
}

TEST_F(RoleCredentialsTest, RequestsShareOneThatHoldsForAnHour) {
  makeRole("1");
  const auto key = give(kNow);
  EXPECT_EQ(give(kNow + 5min - 1s), key);
  EXPECT_EQ(codeAt(*key, kNow + 5min - 1s + 1h), "accepted");
  EXPECT_EQ(codeAt(*key, kNow + 2h), "InvalidSecurityToken.Expired");
  EXPECT_NE(give(kNow + 5min), key);
  EXPECT_NE(give(kNow - 1h)->token, key->token) << "the clock was set back";
}

TEST_F(RoleCredentialsTest, TheEnvironmentsHoldForTwelveHours) {
  makeRole("1");
  const auto key = give(kNow, CredentialPlace::Environment);
  EXPECT_EQ(codeAt(*key, kNow + 12h), "accepted");
  EXPECT_EQ(codeAt(*key, kNow + 13h), "InvalidSecurityToken.Expired");
}

TEST_F(RoleCredentialsTest, TheyDieWithTheRoleAndDoNotComeBackWithItsName) {
  makeRole("1");
  const auto key = give(kNow);
  ASSERT_TRUE(catalog.resources().remove<Role>({{kAccount, ""}, "r"}));
  EXPECT_EQ(codeAt(*key, kNow), "InvalidAccessKeyID");
  EXPECT_EQ(give(kNow), nullptr);
  makeRole("2");
  EXPECT_EQ(codeAt(*key, kNow), "InvalidAccessKeyID");
  const auto next = give(kNow);
  ASSERT_NE(next, nullptr);
  EXPECT_NE(next->token, key->token);
  EXPECT_EQ(codeAt(*next, kNow), "accepted");
}

}  // namespace
}  // namespace okibi::gateway
