#include "conductor/accounts.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/limits.h"
#include "seams/fake_state_store.h"

namespace okibi::conductor {
namespace {

using namespace std::chrono_literals;

class AccountsTest : public ::testing::Test {
 protected:
  AccountsTest() {
    EXPECT_TRUE(accounts_.add("root", WallTime(1ms)));
    EXPECT_TRUE(accounts_.addKey(key("root", "r1")));
  }
  static seams::StoredAccessKey key(std::string account, std::string id, WallTime created = {}) {
    return {std::move(account), std::move(id), "secret", created};
  }

  seams::FakeStateStore store_;
  Accounts accounts_{store_, "root"};
};

TEST_F(AccountsTest, SurvivesARestart) {
  ASSERT_TRUE(accounts_.add("team-a", WallTime(2ms)));
  ASSERT_TRUE(accounts_.addKey(key("team-a", "a1")));
  Accounts again(store_, "root");
  ASSERT_TRUE(again.load());
  EXPECT_EQ(again.all(), accounts_.all());
  ASSERT_NE(again.key("a1"), nullptr);
  EXPECT_EQ(*again.key("a1"), key("team-a", "a1"));
}

TEST_F(AccountsTest, BadAndRepeatedAccountsAreRefused) {
  for (const std::string& bad : {std::string(), std::string("a b"), std::string(65, 'a')}) {
    EXPECT_EQ(accounts_.add(bad, {}).error().kind, ErrorKind::Invalid) << bad;
  }
  EXPECT_EQ(accounts_.add("root", {}).error().kind, ErrorKind::AlreadyExists);
  EXPECT_EQ(accounts_.addKey(key("nobody", "n1")).error().code, "AccountNotFound");
}

TEST_F(AccountsTest, RevokedKeyIsGoneAtOnceAndForGood) {
  ASSERT_TRUE(accounts_.addKey(key("root", "r2")));
  ASSERT_TRUE(accounts_.removeKey("root", "r1"));
  EXPECT_EQ(accounts_.key("r1"), nullptr);
  Accounts again(store_, "root");
  ASSERT_TRUE(again.load());
  EXPECT_EQ(again.key("r1"), nullptr);
  EXPECT_EQ(accounts_.removeKey("root", "r1").error().code, "AccessKeyNotFound");
}

TEST_F(AccountsTest, AnotherAccountsKeyIsNotFound) {
  ASSERT_TRUE(accounts_.add("team-a", {}));
  EXPECT_EQ(accounts_.removeKey("team-a", "r1").error().kind, ErrorKind::NotFound);
  EXPECT_NE(accounts_.key("r1"), nullptr);
}

TEST_F(AccountsTest, TheAdministratorsLastKeyStaysAndOthersMayGo) {
  EXPECT_EQ(accounts_.removeKey("root", "r1").error().kind, ErrorKind::Invalid);
  ASSERT_TRUE(accounts_.add("team-a", {}));
  ASSERT_TRUE(accounts_.addKey(key("team-a", "a1")));
  EXPECT_TRUE(accounts_.removeKey("team-a", "a1"));
}

TEST_F(AccountsTest, KeysAreListedOldestFirstAndBounded) {
  for (std::size_t i = 1; i < limits::kKeysPerAccount; ++i) {
    ASSERT_TRUE(accounts_.addKey(
        key("root", fmt::format("k{}", 9 - i), WallTime(std::chrono::milliseconds(i)))));
  }
  EXPECT_EQ(accounts_.keysOf("root").front().id, "r1");
  const Error error = accounts_.addKey(key("root", "one-more")).error();
  EXPECT_EQ(error.kind, ErrorKind::Exhausted);
  EXPECT_NE(error.message.find("10 access keys of at most 10"), std::string::npos) << error.message;
}

}  // namespace
}  // namespace okibi::conductor
