#pragma once
// The canonical text that client and server sign, and the header that carries the signature. Inside
// auth only.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/request.h"

namespace okibi::auth {

// openapi-core replaces every '+', '*' and "%7E" of a path, openapi-util only the first of each;
// both have users (Function Compute: signatures).
enum class PathRule { ReplaceAll, ReplaceFirst };
// Official packages sign query keys as they are; other languages' percent-encode them.
enum class KeyRule { Plain, Encoded };

std::string canonicalPath(std::string_view path, PathRule rule);

// Pairs decoded, sorted by key, values encoded again. nullopt: a broken escape, or (KeyRule::Plain)
// a key that holds '&', '=' or a control character, which could pass for another query.
std::optional<std::string> canonicalQuery(std::string_view query, KeyRule rule);

// The values of one header, trimmed, sorted and joined with ',' as the official packages do it;
// nullopt if the request has none of that name.
std::optional<std::string> headerValue(const RequestHead& request, std::string_view name);

// A header that was signed and not sent counts as empty.
std::string canonicalRequest(const RequestHead& request, std::string_view canonicalPath,
                             std::string_view canonicalQuery,
                             const std::vector<std::string>& signedHeaders,
                             std::string_view payloadLine);

// Lower-case hex.
std::string signatureOf(std::string_view canonicalRequest, std::string_view secret);

struct Authorization {
  std::string keyId, signature;
  std::vector<std::string> signedHeaders;
};
// "ACS3-HMAC-SHA256 Credential=…,SignedHeaders=a;b,Signature=…"; nullopt: anything else.
std::optional<Authorization> parseAuthorization(std::string_view text);
std::string formatAuthorization(const Authorization& authorization);

}  // namespace okibi::auth
