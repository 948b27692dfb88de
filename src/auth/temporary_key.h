#pragma once
// TemporaryKeys: access keys that act for a role until they expire. Nothing is kept of them: the
// token says who and until when, and id, secret and the token's seal follow from it and from one
// secret of the platform's. Pure.

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/units.h"

namespace okibi::auth {

inline constexpr std::string_view kTemporaryPrefix = "STS.";

struct TemporaryIdentity {
  std::string account, role, roleId;  // without '|'
  WallTime expires{};                 // whole seconds
  bool operator==(const TemporaryIdentity&) const = default;
};

struct TemporaryKey {
  std::string id;      // "STS." and 24 hex digits
  std::string secret;  // 64 hex digits
  std::string token;   // x-acs-security-token: base64url
  bool operator==(const TemporaryKey&) const = default;
};

struct VerifiedKey {
  TemporaryIdentity identity;
  std::string secret;
};

class TemporaryKeys {
 public:
  // `master`: at least 32 unpredictable bytes.
  explicit TemporaryKeys(std::string master) : master_(std::move(master)) {}

  TemporaryKey make(const TemporaryIdentity& identity) const;

  // Whether this platform made the token, with this key id, and it has not expired. Denied:
  // InvalidSecurityToken.Malformed, .MismatchWithAccessKey, .Expired.
  Result<VerifiedKey> verify(std::string_view id, std::string_view token, WallTime now) const;

 private:
  std::string sealOf(std::string_view purpose, std::string_view claims) const;

  std::string master_;
};

}  // namespace okibi::auth
