#pragma once
// JSON Web Tokens (RFC 7519) signed under one known key (RFC 7517): RS*, PS*, ES*, HS* with 256,
// 384 and 512. The algorithm must fit the key's type, so that a public key is never used as a
// secret. Pure.

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/units.h"

namespace okibi::auth {

// Whether `jwk` is a key that tokens can be checked with. Invalid names the member.
Result<void> checkJwk(std::string_view jwk);

// The claims whose values are texts, numbers or booleans, as text. Denied ("invalid or expired
// jwt") for anything wrong with the token: form, algorithm, signature, exp or nbf.
Result<std::map<std::string, std::string>> verifyJwt(std::string_view token, std::string_view jwk,
                                                     WallTime now);

// base64url without padding; nullopt: it is not.
std::optional<std::string> fromBase64Url(std::string_view text);

}  // namespace okibi::auth
