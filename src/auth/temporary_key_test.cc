#include "auth/temporary_key.h"

#include <gtest/gtest.h>

#include "auth/digest.h"
#include "auth/signer.h"
#include "auth/verifier.h"
#include "base/encoding.h"

namespace okibi::auth {
namespace {

using namespace std::chrono_literals;

const WallTime kNow = *parseIso8601("2026-11-24T08:35:00Z");
const TemporaryIdentity kWho{"1000000000000001", "caller", "0123456789abcdef", kNow + 1h};

TemporaryKeys keys(char fill = 'm') {
  return TemporaryKeys(std::string(64, fill));
}
std::string codeOf(const Result<VerifiedKey>& result) {
  return result ? "accepted" : result.error().code;
}

TEST(TemporaryKey, RoundTrip) {
  const TemporaryKey key = keys().make(kWho);
  EXPECT_TRUE(key.id.starts_with("STS."));
  EXPECT_EQ(key.secret.size(), 64u);
  EXPECT_EQ(key.token.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                        "0123456789-_"),
            std::string::npos);
  const auto verified = keys().verify(key.id, key.token, kNow);
  ASSERT_TRUE(verified) << verified.error().message;
  EXPECT_EQ(verified->identity, kWho);
  EXPECT_EQ(verified->secret, key.secret);
  EXPECT_EQ(keys().make(kWho), key) << "nothing is random";
}

TEST(TemporaryKey, EachPartOfTheIdentityMakesAnotherKey) {
  const TemporaryKey key = keys().make(kWho);
  TemporaryIdentity others[] = {kWho, kWho, kWho, kWho};
  others[0].account += "0";
  others[1].role += "0";
  others[2].roleId += "0";
  others[3].expires += 1s;
  for (const TemporaryIdentity& other : others) {
    const TemporaryKey different = keys().make(other);
    EXPECT_NE(different.id, key.id);
    EXPECT_NE(different.secret, key.secret);
    EXPECT_EQ(codeOf(keys().verify(key.id, different.token, kNow)),
              "InvalidSecurityToken.MismatchWithAccessKey");
  }
  EXPECT_NE(keys('n').make(kWho).secret, key.secret);
}

TEST(TemporaryKey, EveryChangedByteIsFound) {
  const TemporaryKey key = keys().make(kWho);
  for (std::size_t i = 0; i < key.token.size(); ++i) {
    for (const char other : {'A', 'B', '_', '=', '|', '\0'}) {
      std::string token = key.token;
      if (token[i] == other) continue;
      token[i] = other;
      EXPECT_EQ(codeOf(keys().verify(key.id, token, kNow)), "InvalidSecurityToken.Malformed") << i;
    }
    EXPECT_FALSE(keys().verify(key.id, key.token.substr(0, i), kNow));
  }
  for (const std::string& tail : {"A", "=", "==", "AAAA"}) {
    EXPECT_FALSE(keys().verify(key.id, key.token + tail, kNow));
  }
  for (std::size_t i = 0; i < key.id.size(); ++i) {
    std::string id = key.id;
    id[i] = 'x';
    EXPECT_EQ(codeOf(keys().verify(id, key.token, kNow)),
              "InvalidSecurityToken.MismatchWithAccessKey");
  }
}

TEST(TemporaryKey, AnotherPlatformsIsRefused) {
  const TemporaryKey key = keys('n').make(kWho);
  EXPECT_EQ(codeOf(keys().verify(key.id, key.token, kNow)), "InvalidSecurityToken.Malformed");
  EXPECT_FALSE(keys().verify(key.id, "", kNow));
  EXPECT_FALSE(keys().verify(key.id, std::string(10'000, 'A'), kNow));
}

TEST(TemporaryKey, ExpiresAtItsTime) {
  const TemporaryKey key = keys().make(kWho);
  EXPECT_TRUE(keys().verify(key.id, key.token, kWho.expires - 1ms));
  EXPECT_EQ(codeOf(keys().verify(key.id, key.token, kWho.expires)), "InvalidSecurityToken.Expired");
  EXPECT_TRUE(keys()
                  .verify(key.id, key.token, kWho.expires)
                  .error()
                  .message.contains("2026-11-24T09:35:00Z"));
}

// ---- requests signed with one

Verifier verifier() {
  return Verifier(
      [](std::string_view) { return std::optional<AccessKey>(); },
      [](std::string_view id, std::string_view token, WallTime now) -> Result<TemporaryAccess> {
        auto found = keys().verify(id, token, now);
        if (!found) return fail(found.error());
        const TemporaryIdentity& who = found->identity;
        return TemporaryAccess{{std::string(id), found->secret, who.account}, who.role, who.roleId};
      });
}

RequestHead apiRequest(const TemporaryKey& key, std::string_view nonce, bool withToken = true) {
  RequestHead request{"POST", "/2023-03-30/functions", "", {{"host", "127.0.0.1:7070"}}};
  if (withToken) request.headers.emplace_back("x-acs-security-token", key.token);
  const auto added = signApi(request, "CreateFunction", sha256Hex("{}"),
                             {key.id, key.secret, kWho.account}, kNow, nonce);
  request.headers.insert(request.headers.end(), added.begin(), added.end());
  return request;
}

std::string codeOf(const Result<Caller>& result) {
  return result ? "accepted" : result.error().code;
}

TEST(TemporaryKey, SignsRequestsToTheApi) {
  const TemporaryKey key = keys().make(kWho);
  Verifier all = verifier();
  const auto caller = all.verifyApi(apiRequest(key, "n-1"), kNow);
  ASSERT_TRUE(caller) << caller.error().message;
  EXPECT_EQ(caller->account, kWho.account);
  EXPECT_EQ(caller->role, "caller");
  EXPECT_EQ(codeOf(all.verifyApi(apiRequest(key, "n-1"), kNow)), "AccessDenied") << "a replay";
  TemporaryIdentity renewed = kWho;
  renewed.expires += 1min;
  EXPECT_EQ(codeOf(all.verifyApi(apiRequest(keys().make(renewed), "n-1"), kNow)), "AccessDenied")
      << "a role's nonces are remembered together";
  EXPECT_EQ(codeOf(all.verifyApi(apiRequest(key, "n-2", false), kNow)), "MissingRequiredHeader");
  TemporaryKey wrong = key;
  wrong.secret[0] = wrong.secret[0] == 'a' ? 'b' : 'a';
  EXPECT_EQ(codeOf(all.verifyApi(apiRequest(wrong, "n-3"), kNow)), "SignatureNotMatch");
  RequestHead added = apiRequest(key, "n-4", false);
  added.headers.emplace_back("x-acs-security-token", key.token);
  EXPECT_EQ(codeOf(all.verifyApi(added, kNow)), "SignatureNotMatch") << "the token is not signed";
  Verifier none([](std::string_view) { return std::optional<AccessKey>(); });
  EXPECT_EQ(codeOf(none.verifyApi(apiRequest(key, "n-5"), kNow)), "InvalidAccessKeyID");
}

TEST(TemporaryKey, SignsRequestsToTriggers) {
  const TemporaryKey key = keys().make(kWho);
  const auto signedWith = [&](bool before) {
    RequestHead request{"GET", "/a", "", {}};
    if (before) request.headers.emplace_back("x-acs-security-token", key.token);
    const auto added = signTrigger(request, {key.id, key.secret, kWho.account}, kNow);
    if (!before) request.headers.emplace_back("x-acs-security-token", key.token);
    request.headers.insert(request.headers.end(), added.begin(), added.end());
    return request;
  };
  const auto caller = verifier().verifyTrigger(signedWith(true), kNow);
  ASSERT_TRUE(caller) << caller.error().message;
  EXPECT_EQ(caller->role, "caller");
  EXPECT_EQ(codeOf(verifier().verifyTrigger(signedWith(false), kNow)), "SignatureNotMatch");
}

}  // namespace
}  // namespace okibi::auth
