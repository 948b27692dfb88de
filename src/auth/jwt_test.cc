#include "auth/jwt.h"

#include <gtest/gtest.h>

namespace okibi::auth {
namespace {

// RFC 7515, appendices A.1 and A.3.
constexpr std::string_view kPayload =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlf"
    "Q";
constexpr std::string_view kOct =
    R"({"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"})";
constexpr std::string_view kEc =
    R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})";

std::string hs256() {
  return "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." + std::string(kPayload) +
         ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
}
std::string es256() {
  return "eyJhbGciOiJFUzI1NiJ9." + std::string(kPayload) +
         ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
}

const WallTime kBefore{std::chrono::seconds(1300819379)}, kAfter{std::chrono::seconds(1300819380)};

TEST(Jwt, TokensOfTheStandardAreGenuineUntilTheyExpire) {
  for (const auto& [token, key] : {std::pair(hs256(), kOct), std::pair(es256(), kEc)}) {
    ASSERT_TRUE(checkJwk(key));
    const auto claims = verifyJwt(token, key, kBefore);
    ASSERT_TRUE(claims) << claims.error().message;
    EXPECT_EQ(claims->at("iss"), "joe");
    EXPECT_EQ(claims->at("http://example.com/is_root"), "true");
    EXPECT_EQ(verifyJwt(token, key, kAfter).error().kind, ErrorKind::Denied);
  }
}

TEST(Jwt, EveryChangedCharacterIsNoticed) {
  const std::string good = es256();
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = bad[i] == 'A' ? 'B' : 'A';
    if (bad != good && i + 1 != good.size()) EXPECT_FALSE(verifyJwt(bad, kEc, kBefore)) << i;
  }
  EXPECT_FALSE(verifyJwt("", kEc, kBefore));
  EXPECT_FALSE(verifyJwt("..", kEc, kBefore));
  EXPECT_FALSE(verifyJwt(good + ".x", kEc, kBefore));
}

TEST(Jwt, AlgorithmsMustFitTheKey) {
  EXPECT_FALSE(verifyJwt(hs256(), kEc, kBefore));
  EXPECT_FALSE(verifyJwt(es256(), kOct, kBefore));
  const std::string none = "eyJhbGciOiJub25lIn0." + std::string(kPayload) + ".";
  EXPECT_FALSE(verifyJwt(none, kOct, kBefore));
  std::string pinned(kOct);
  pinned.replace(pinned.size() - 1, 1, R"(,"alg":"HS512"})");
  EXPECT_FALSE(verifyJwt(hs256(), pinned, kBefore));
}

TEST(Jwt, KeysThatCannotWorkAreRefusedByMember) {
  const auto wrong = [](std::string_view key) {
    const auto checked = checkJwk(key);
    return checked ? std::string("accepted") : checked.error().message;
  };
  EXPECT_NE(wrong("{}").find("kty"), std::string::npos);
  EXPECT_NE(wrong("[]").find("object"), std::string::npos);
  EXPECT_NE(wrong(R"({"kty":"RSA","n":"AQAB","e":"AQAB"})").find("n:"), std::string::npos);
  EXPECT_NE(wrong(R"({"kty":"EC","crv":"P-1"})").find("crv"), std::string::npos);
  EXPECT_NE(wrong(R"({"kty":"oct","k":"c2hvcnQ"})").find("k:"), std::string::npos);
  std::string off(kEc);
  off[off.find("f83O")] = 'g';
  EXPECT_NE(wrong(off).find("curve"), std::string::npos);
}

TEST(Base64Url, TakesItsOwnAlphabetOnly) {
  EXPECT_EQ(fromBase64Url("-_8"), "\xfb\xff");
  EXPECT_EQ(fromBase64Url(""), "");
  EXPECT_FALSE(fromBase64Url("+/8"));
  EXPECT_FALSE(fromBase64Url("-_8="));
}

}  // namespace
}  // namespace okibi::auth
