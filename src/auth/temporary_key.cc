#include "auth/temporary_key.h"

#include <charconv>
#include <chrono>
#include <optional>

#include <fmt/format.h>

#include "auth/digest.h"
#include "auth/jwt.h"
#include "base/encoding.h"

namespace okibi::auth {
namespace {

constexpr std::size_t kIdDigits = 24;
constexpr std::size_t kTokenMost = 2048;

std::unexpected<Error> refused(std::string message, std::string_view why) {
  return fail(ErrorKind::Denied, std::move(message), fmt::format("InvalidSecurityToken.{}", why));
}

std::string toBase64Url(std::string_view bytes) {
  std::string text = toBase64(bytes);
  for (char& c : text) {
    if (c == '+') c = '-';
    if (c == '/') c = '_';
  }
  while (text.ends_with('=')) text.pop_back();
  return text;
}

std::string claimsOf(const TemporaryIdentity& identity) {
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(identity.expires.time_since_epoch());
  return fmt::format("{}|{}|{}|{}", identity.account, identity.role, identity.roleId,
                     seconds.count());
}

// What the token claims; whether it is true is the seal's matter.
std::optional<TemporaryIdentity> readClaims(std::string_view token) {
  if (token.size() > kTokenMost) return std::nullopt;
  const auto text = fromBase64Url(token);
  if (!text) return std::nullopt;
  const auto parts = split(*text, '|');
  if (parts.size() != 5) return std::nullopt;
  std::int64_t seconds = 0;
  const char* end = parts[3].data() + parts[3].size();
  const auto [stop, error] = std::from_chars(parts[3].data(), end, seconds);
  constexpr std::int64_t kFarOff = 100'000'000'000;  // beyond it a WallTime would overflow
  if (error != std::errc() || stop != end || seconds < 0 || seconds > kFarOff) return std::nullopt;
  return TemporaryIdentity{std::string(parts[0]), std::string(parts[1]), std::string(parts[2]),
                           WallTime(std::chrono::seconds(seconds))};
}

}  // namespace

std::string TemporaryKeys::sealOf(std::string_view purpose, std::string_view claims) const {
  return toHex(hmacSha256(master_, fmt::format("{}|{}", purpose, claims)));
}

TemporaryKey TemporaryKeys::make(const TemporaryIdentity& identity) const {
  const std::string claims = claimsOf(identity);
  return {std::string(kTemporaryPrefix) + sealOf("id", claims).substr(0, kIdDigits),
          sealOf("secret", claims),
          toBase64Url(fmt::format("{}|{}", claims, sealOf("token", claims)))};
}

// The key is made again and compared whole, so that no other spelling of a token is one.
Result<VerifiedKey> TemporaryKeys::verify(std::string_view id, std::string_view token,
                                          WallTime now) const {
  const auto identity = readClaims(token);
  if (!identity) return refused("the security token is not one", "Malformed");
  TemporaryKey key = make(*identity);
  if (!constantTimeEqual(key.token, token)) {
    return refused("the security token was not issued here", "Malformed");
  }
  if (!constantTimeEqual(key.id, id)) {
    return refused("the security token belongs to another access key id", "MismatchWithAccessKey");
  }
  if (now >= identity->expires) {
    return refused(
        fmt::format("the security token expired at {}", formatIso8601(identity->expires)),
        "Expired");
  }
  return VerifiedKey{*identity, std::move(key.secret)};
}

}  // namespace okibi::auth
