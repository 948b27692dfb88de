#include <functional>
#include <set>

#include <gtest/gtest.h>

#include "auth/access_key.h"
#include "auth/canonical.h"
#include "auth/digest.h"
#include "auth/legacy.h"
#include "auth/nonce_cache.h"
#include "auth/signer.h"
#include "auth/testing_sdk_vectors.h"
#include "auth/verifier.h"
#include "base/encoding.h"
#include "base/random.h"

namespace okibi::auth {
namespace {

using namespace std::chrono_literals;

const AccessKey kKey{kVectorKeyId, kVectorSecret, "account-1"};
const WallTime kNow = *parseIso8601("2026-11-24T08:35:00Z");

Verifier makeVerifier() {
  return Verifier([](std::string_view id) -> std::optional<AccessKey> {
    if (id != kKey.id) return std::nullopt;
    return kKey;
  });
}

std::string* findHeader(RequestHead& request, std::string_view name) {
  for (auto& [field, value] : request.headers) {
    if (equalsIgnoreCase(field, name)) return &value;
  }
  return nullptr;
}

WallTime dateOf(RequestHead request) {
  return *parseIso8601(*findHeader(request, "x-acs-date"));
}

RequestHead signedRequest(std::string_view nonce = "n-1") {
  RequestHead request{"POST", "/2023-03-30/functions", "", {{"host", "127.0.0.1:7070"}}};
  const auto added = signApi(request, "CreateFunction", sha256Hex("{}"), kKey, kNow, nonce);
  request.headers.insert(request.headers.end(), added.begin(), added.end());
  return request;
}

std::string codeOf(const Result<Caller>& result) {
  return result ? "accepted" : result.error().code;
}

TEST(Digest, KnownAnswers) {
  EXPECT_EQ(sha256Hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  // RFC 4231, test case 2
  EXPECT_EQ(toHex(hmacSha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(Digest, PiecesHashAsTheWholeAndTheObjectIsReusable) {
  Sha256 hash;
  for (const char c : std::string("abc")) hash.update(std::string_view(&c, 1));
  EXPECT_EQ(hash.finishHex(), sha256Hex("abc"));
  EXPECT_EQ(hash.finishHex(), sha256Hex(""));
}

TEST(Digest, ConstantTimeEqual) {
  EXPECT_TRUE(constantTimeEqual("abc", "abc"));
  EXPECT_FALSE(constantTimeEqual("abc", "abd"));
  EXPECT_FALSE(constantTimeEqual("abc", "ab"));
  EXPECT_TRUE(constantTimeEqual("", ""));
}

TEST(AccessKey, HasItsFormAndDependsOnTheRandomSource) {
  auto seeded = [](std::uint64_t seed) {
    return [random = Random(seed)](std::span<std::uint8_t> out) mutable {
      for (auto& byte : out) byte = static_cast<std::uint8_t>(random.next());
    };
  };
  const AccessKey key = makeAccessKey("a", seeded(1));
  EXPECT_EQ(key.id.size(), 24u);
  EXPECT_EQ(key.id.substr(0, 4), "OKBI");
  EXPECT_EQ(key.secret.size(), 40u);
  EXPECT_EQ(key.account, "a");
  EXPECT_EQ(makeAccessKey("a", seeded(1)), key);
  EXPECT_NE(makeAccessKey("a", seeded(2)).secret, key.secret);
  std::set<std::string> ids;
  for (int i = 0; i < 100; ++i) ids.insert(makeAccessKey("a", systemRandom()).id);
  EXPECT_EQ(ids.size(), 100u);
  EXPECT_EQ(randomHex(8, systemRandom()).size(), 16u);
}

TEST(SdkVectors, EveryRequestOfTheOfficialPackagesIsAccepted) {
  for (const SdkVector& vector : kSdkVectors) {
    SCOPED_TRACE(vector.label);
    auto verifier = makeVerifier();
    const WallTime now = dateOf(vector.request) + 1min;
    const auto caller = vector.kind == VectorKind::Api
                            ? verifier.verifyApi(vector.request, now)
                            : verifier.verifyTrigger(vector.request, now);
    ASSERT_TRUE(caller) << caller.error().message;
    EXPECT_EQ(caller->account, "account-1");
    if (vector.kind == VectorKind::Api) {
      const std::string body = *fromBase64(vector.bodyBase64);
      EXPECT_TRUE(Verifier::checkBody(*caller, sha256Hex(body)));
      EXPECT_EQ(Verifier::checkBody(*caller, sha256Hex(body + " ")).error().code,
                "SignatureNotMatch");
    }
  }
}

TEST(SdkVectors, NoChangeOfAnySignedPartIsAccepted) {
  for (const SdkVector& vector : kSdkVectors) {
    const WallTime now = dateOf(vector.request);
    const auto verify = [&](const RequestHead& request) {
      auto verifier = makeVerifier();
      return vector.kind == VectorKind::Api ? codeOf(verifier.verifyApi(request, now))
                                            : codeOf(verifier.verifyTrigger(request, now));
    };
    ASSERT_EQ(verify(vector.request), "accepted") << vector.label;
    RequestHead changed = vector.request;
    changed.method = "PATCH";
    EXPECT_EQ(verify(changed), "SignatureNotMatch") << vector.label;
    changed = vector.request;
    changed.path += "x";
    EXPECT_EQ(verify(changed), "SignatureNotMatch") << vector.label;
    changed = vector.request;
    changed.query += "&q=1";
    EXPECT_EQ(verify(changed), "SignatureNotMatch") << vector.label;
    changed = vector.request;
    findHeader(changed, "authorization")->back() ^= 1;
    EXPECT_EQ(verify(changed), "SignatureNotMatch") << vector.label;
    if (vector.kind != VectorKind::Api) continue;
    for (const char* name : {"x-acs-action", "x-acs-version", "x-acs-signature-nonce", "host"}) {
      changed = vector.request;
      *findHeader(changed, name) += "1";
      EXPECT_EQ(verify(changed), "SignatureNotMatch") << vector.label << " " << name;
    }
  }
}

TEST(Verifier, OurSignerIsAccepted) {
  auto verifier = makeVerifier();
  const auto caller = verifier.verifyApi(signedRequest(), kNow);
  ASSERT_TRUE(caller) << caller.error().message;
  EXPECT_EQ(caller->accessKeyId, kKey.id);
  EXPECT_EQ(caller->bodySha256, sha256Hex("{}"));

  RequestHead trigger{"GET", "/a+b*c", "x=1 2&k%20ey=v&amp%26=1", {{"Host", "h"}}};
  const auto added = signTrigger(trigger, kKey, kNow);
  trigger.headers.insert(trigger.headers.end(), added.begin(), added.end());
  EXPECT_EQ(codeOf(verifier.verifyTrigger(trigger, kNow)), "accepted");
}

TEST(Verifier, MissingHeadersAreNamed) {
  for (const char* name :
       {"authorization", "host", "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256"}) {
    RequestHead request = signedRequest();
    std::erase_if(request.headers, [&](const auto& h) { return equalsIgnoreCase(h.first, name); });
    auto verifier = makeVerifier();
    const auto result = verifier.verifyApi(request, kNow);
    ASSERT_FALSE(result) << name;
    EXPECT_EQ(result.error().code, "MissingRequiredHeader") << name;
    EXPECT_EQ(result.error().kind, ErrorKind::Invalid);
    EXPECT_NE(toLower(result.error().message).find(name), std::string::npos);
  }
}

TEST(Verifier, ClockSkewIsFifteenMinutesEitherWay) {
  for (const auto offset : {-15min, 15min}) {
    auto verifier = makeVerifier();
    EXPECT_EQ(codeOf(verifier.verifyApi(signedRequest(), kNow + offset)), "accepted");
  }
  for (const auto offset : {-15min - 1ms, 15min + 1ms}) {
    auto verifier = makeVerifier();
    const auto result = verifier.verifyApi(signedRequest(), kNow + offset);
    EXPECT_EQ(codeOf(result), "AccessDenied");
    EXPECT_NE(result.error().message.find("too large"), std::string::npos);
  }
}

TEST(Verifier, UnknownKeyWrongSecretAndReplayAreTold) {
  auto verifier = makeVerifier();
  RequestHead stranger = signedRequest();
  std::string& authorization = *findHeader(stranger, "authorization");
  authorization.replace(authorization.find(kKey.id), kKey.id.size(), "nobody");
  EXPECT_EQ(codeOf(verifier.verifyApi(stranger, kNow)), "InvalidAccessKeyID");

  AccessKey wrong = kKey;
  wrong.secret += "x";
  RequestHead request{"GET", "/", "", {{"host", "h"}}};
  const auto added = signApi(request, "A", sha256Hex(""), wrong, kNow, "n-9");
  request.headers.insert(request.headers.end(), added.begin(), added.end());
  const auto refused = verifier.verifyApi(request, kNow);
  EXPECT_EQ(codeOf(refused), "SignatureNotMatch");
  EXPECT_EQ(refused.error().message.find(kKey.secret), std::string::npos);

  EXPECT_EQ(codeOf(verifier.verifyApi(signedRequest("n-2"), kNow)), "accepted");
  EXPECT_EQ(codeOf(verifier.verifyApi(signedRequest("n-2"), kNow)), "AccessDenied");
  EXPECT_EQ(codeOf(verifier.verifyApi(signedRequest("n-3"), kNow)), "accepted");
}

TEST(Verifier, ARefusedRequestDoesNotUseUpItsNonce) {
  auto verifier = makeVerifier();
  RequestHead forged = signedRequest("n-4");
  findHeader(forged, "authorization")->back() ^= 1;
  EXPECT_EQ(codeOf(verifier.verifyApi(forged, kNow)), "SignatureNotMatch");
  EXPECT_EQ(codeOf(verifier.verifyApi(signedRequest("n-4"), kNow)), "accepted");
}

TEST(Verifier, HeadersOutsideTheSignatureAreRefused) {
  auto verifier = makeVerifier();
  RequestHead request = signedRequest();
  request.headers.emplace_back("X-Acs-Security-Token", "added on the way");
  EXPECT_EQ(codeOf(verifier.verifyApi(request, kNow)), "SignatureNotMatch");
}

TEST(Verifier, MalformedInputIsRefusedInWords) {
  auto verifier = makeVerifier();
  for (const char* text : {"", "Basic abc", "ACS3-HMAC-SHA256", "ACS3-HMAC-SHA256 Credential=a",
                           "ACS3-HMAC-SHA256 x", "ACS3-HMAC-SHA256 a=1,b=2"}) {
    RequestHead request = signedRequest();
    *findHeader(request, "authorization") = text;
    EXPECT_EQ(codeOf(verifier.verifyApi(request, kNow)), "SignatureNotMatch") << text;
  }
  RequestHead request = signedRequest();
  *findHeader(request, "x-acs-date") = "yesterday";
  EXPECT_EQ(codeOf(verifier.verifyApi(request, kNow)), "InvalidArgument");
  request = signedRequest();
  *findHeader(request, "x-acs-signature-nonce") = std::string(129, 'n');
  EXPECT_EQ(codeOf(verifier.verifyApi(request, kNow)), "InvalidArgument");
  request = signedRequest();
  *findHeader(request, "x-acs-content-sha256") = "UNSIGNED-PAYLOAD";
  EXPECT_EQ(codeOf(verifier.verifyApi(request, kNow)), "InvalidArgument");
  request = signedRequest();
  request.query = "a=%zz";
  EXPECT_EQ(codeOf(verifier.verifyApi(request, kNow)), "SignatureNotMatch");
}

TEST(Verifier, ATriggerSignatureMustCoverItsDate) {
  auto verifier = makeVerifier();
  RequestHead request{"GET", "/", "", {{"x-acs-date", formatIso8601(kNow)}, {"host", "h"}}};
  const std::string signature =
      signatureOf(canonicalRequest(request, "/", "", {"host"}, ""), kKey.secret);
  request.headers.emplace_back("authorization",
                               formatAuthorization({kKey.id, signature, {"host"}}));
  EXPECT_EQ(codeOf(verifier.verifyTrigger(request, kNow)), "SignatureNotMatch");
  std::erase_if(request.headers, [](const auto& h) { return h.first == "x-acs-date"; });
  EXPECT_EQ(codeOf(verifier.verifyTrigger(request, kNow)), "MissingRequiredHeader");
}

TEST(Canonical, AKeyThatCouldPassForAnotherQueryIsNotTakenPlainly) {
  EXPECT_EQ(canonicalQuery("x=1&y=2", KeyRule::Plain), "x=1&y=2");
  EXPECT_EQ(canonicalQuery("x%3D1%26y=2", KeyRule::Plain), std::nullopt);
  EXPECT_EQ(canonicalQuery("x%3D1%26y=2", KeyRule::Encoded), "x%3D1%26y=2");
  EXPECT_EQ(canonicalQuery("b&a=%2A~*", KeyRule::Plain), "a=%2A~%2A&b=");
}

TEST(NonceCache, IsBoundedAndForgetsWhatCannotComeBack) {
  NonceCache cache(3);
  EXPECT_TRUE(cache.admit("k", "a", kNow, kNow));
  EXPECT_FALSE(cache.admit("k", "a", kNow, kNow));
  EXPECT_TRUE(cache.admit("other", "a", kNow, kNow));
  for (const char* nonce : {"b", "c", "d"}) EXPECT_TRUE(cache.admit("k", nonce, kNow, kNow));
  EXPECT_EQ(cache.size("k"), 3u);
  EXPECT_FALSE(cache.admit("k", "d", kNow, kNow));
  EXPECT_TRUE(cache.admit("k", "e", kNow + 16min, kNow + 16min));
  EXPECT_EQ(cache.size("k"), 1u);
  EXPECT_EQ(cache.size("nobody"), 0u);
}

// As npm's @alicloud/fc2 2.6.6 composes and signs it.
const AccessKey kLegacyKey{"LEGACYKEY", "legacy secret of nobody", "account-2"};
const WallTime kLegacyNow = *parseIso8601("2026-11-24T08:35:00Z");

RequestHead legacyRequest() {
  return {"GET",
          "/2023-03-30/functions/photo-tags/instances/c-0123456789abcdef/exec",
          "command=sh&tty=true",
          {{"accept", "application/json"},
           {"Date", "Tue, 24 Nov 2026 08:34:58 GMT"},
           {"host", "127.0.0.1"},
           {"X-Fc-Security-Token", "tok"},
           {"x-fc-account-id", "1000000000000001"},
           {"authorization", "FC LEGACYKEY:wSec6evoXdyuyf9390vAyqY+CVRQqo43deFW+UeyQgM="}}};
}

Verifier legacyVerifier() {
  return Verifier([](std::string_view id) -> std::optional<AccessKey> {
    if (id != kLegacyKey.id) return std::nullopt;
    return kLegacyKey;
  });
}

TEST(Legacy, TheOlderSdksSignatureIsAcceptedOnce) {
  Verifier verifier = legacyVerifier();
  EXPECT_TRUE(Verifier::isLegacy(legacyRequest()));
  EXPECT_FALSE(Verifier::isLegacy(signedRequest()));
  const auto caller = verifier.verifyLegacy(legacyRequest(), kLegacyNow);
  ASSERT_TRUE(caller) << caller.error().message;
  EXPECT_EQ(caller->account, "account-2");
  EXPECT_EQ(codeOf(verifier.verifyLegacy(legacyRequest(), kLegacyNow)), "AccessDenied");
  EXPECT_EQ(codeOf(verifier.verifyApi(legacyRequest(), kLegacyNow)), "SignatureNotMatch");
}

TEST(Legacy, WhatIsChangedStaleOrUnknownIsRefused) {
  const auto code = [](const std::function<void(RequestHead&)>& change, WallTime now = kLegacyNow) {
    RequestHead request = legacyRequest();
    change(request);
    return codeOf(legacyVerifier().verifyLegacy(request, now));
  };
  EXPECT_EQ(code([](auto& r) { r.path += "x"; }), "SignatureNotMatch");
  EXPECT_EQ(code([](auto& r) { r.method = "POST"; }), "SignatureNotMatch");
  EXPECT_EQ(code([](auto& r) { *findHeader(r, "x-fc-account-id") = "2"; }), "SignatureNotMatch");
  EXPECT_EQ(code([](auto& r) { r.headers.emplace_back("x-fc-more", "1"); }), "SignatureNotMatch");
  EXPECT_EQ(code([](auto& r) { *findHeader(r, "date") = "Tue, 24 Nov 2026 08:34:59 GMT"; }),
            "SignatureNotMatch");
  EXPECT_EQ(code([](auto& r) { *findHeader(r, "date") = "yesterday"; }), "InvalidArgument");
  EXPECT_EQ(code([](auto& r) { *findHeader(r, "date") = ""; }), "MissingRequiredHeader");
  EXPECT_EQ(code([](auto&) {}, kLegacyNow + 16min), "AccessDenied");
  EXPECT_EQ(code([](auto& r) { *findHeader(r, "authorization") = "FC other:c2lnbmF0dXJl"; }),
            "InvalidAccessKeyID");
  for (const char* broken : {"FC LEGACYKEY", "FC :x", "FC LEGACYKEY:", "fc a:b"}) {
    EXPECT_EQ(code([&](auto& r) { *findHeader(r, "authorization") = broken; }),
              "SignatureNotMatch");
  }
}

TEST(Legacy, HttpDates) {
  EXPECT_EQ(parseHttpDate("Sun, 06 Nov 1994 08:49:37 GMT"), *parseIso8601("1994-11-06T08:49:37Z"));
  for (const char* text : {"", "Sun, 06 Nov 1994 08:49:37", "Sun, 31 Feb 1994 08:49:37 GMT",
                           "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Now 1994 08:49:37 GMT",
                           "Sun, -6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:4 :37 GMT"}) {
    EXPECT_FALSE(parseHttpDate(text)) << text;
  }
}

}  // namespace
}  // namespace okibi::auth
