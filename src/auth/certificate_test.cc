#include "auth/certificate.h"

#include <gtest/gtest.h>

#include "auth/testing_certificates.h"

namespace okibi::auth {
namespace {

using namespace std::chrono_literals;
using testing::makePair;

const WallTime kNow = WallTime(std::chrono::seconds(1'790'000'000));

std::string verdict(std::string_view chain, std::string_view key, WallTime now = kNow) {
  const auto checked = checkCertificate(chain, key, now);
  return checked ? "good" : checked.error().message;
}

TEST(Certificate, AMatchingPairIsGood) {
  const auto pair = makePair("WWW.example.com", kNow);
  const auto facts = checkCertificate(pair.certificate, pair.key, kNow);
  ASSERT_TRUE(facts) << facts.error().message;
  EXPECT_EQ(facts->names, std::vector<std::string>{"www.example.com"});
  EXPECT_EQ(facts->notAfter, kNow + 29 * 24h);
  const auto other = makePair("ca.example.com", kNow);
  EXPECT_EQ(verdict(pair.certificate + other.certificate, pair.key), "good");
  EXPECT_EQ(verdict("words before\n" + pair.certificate + "words after\n", pair.key), "good");
}

TEST(Certificate, WhatIsWrongIsSaid) {
  const auto pair = makePair("a.example.com", kNow), other = makePair("b.example.com", kNow);
  EXPECT_TRUE(verdict(pair.certificate, other.key).starts_with("privateKey: does not belong"));
  EXPECT_TRUE(verdict(other.certificate + pair.certificate, pair.key).starts_with("privateKey: "));
  EXPECT_TRUE(verdict("", pair.key).starts_with("certificate: has 0 bytes"));
  EXPECT_EQ(verdict("hello", pair.key), "certificate: is no certificate in PEM");
  EXPECT_EQ(verdict(pair.key, pair.key), "certificate: is no certificate in PEM");
  EXPECT_EQ(verdict(pair.certificate, "hello"),
            "privateKey: is no private key in PEM without passphrase");
  EXPECT_TRUE(
      verdict(pair.certificate, std::string(5000, 'x')).starts_with("privateKey: has 5000"));
  EXPECT_EQ(
      verdict(pair.certificate + "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n",
              pair.key),
      "certificate: its part 2 is broken");
  EXPECT_TRUE(
      verdict(pair.certificate, pair.key, kNow + 60 * 24h).starts_with("certificate: expired at "));
  EXPECT_TRUE(verdict(pair.certificate, pair.key, kNow - 60 * 24h)
                  .starts_with("certificate: is not valid before "));
  const auto weak = makePair("c.example.com", kNow, 30, 1024);
  EXPECT_TRUE(verdict(weak.certificate, weak.key).starts_with("privateKey: is an RSA key of 1024"));
}

}  // namespace
}  // namespace okibi::auth
