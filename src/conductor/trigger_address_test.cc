#include "conductor/trigger_address.h"

#include <gtest/gtest.h>

namespace okibi::conductor {
namespace {

TEST(TriggerAddresses, UrlsAreMatchedAgain) {
  const TriggerAddresses local("tokyo", "", 7070);
  EXPECT_EQ(local.url("abc", Reach::Internet), "http://abc.tokyo.okibi.localhost:7070/");
  EXPECT_EQ(local.url("abc", Reach::Intranet), "http://abc.tokyo-vpc.okibi.localhost:7070/");
  const auto outer = local.match("ABC.Tokyo.okibi.LOCALHOST:7070");
  ASSERT_TRUE(outer);
  EXPECT_EQ(outer->label, "ABC");
  EXPECT_EQ(outer->reach, Reach::Internet);
  EXPECT_EQ(local.match("abc.tokyo-vpc.okibi.localhost")->reach, Reach::Intranet);
}

TEST(TriggerAddresses, OtherNamesAreNobodys) {
  const TriggerAddresses own("tokyo", "fn.example.com", 80);
  EXPECT_EQ(own.url("abc", Reach::Internet), "http://abc.tokyo.fn.example.com/");
  EXPECT_TRUE(own.match("abc.tokyo.fn.example.com"));
  for (const char* host :
       {"", "127.0.0.1:7070", "abc.tokyo.okibi.localhost", "fn.example.com",
        ".tokyo.fn.example.com", "a.abc.tokyo.fn.example.com", "abc.osaka.fn.example.com",
        "abc.tokyo.fn.example.com.evil.org", "[::1]:80", "localhost"}) {
    EXPECT_FALSE(own.match(host)) << host;
  }
}

}  // namespace
}  // namespace okibi::conductor
