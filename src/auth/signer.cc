#include "auth/signer.h"

#include <algorithm>

#include "auth/canonical.h"
#include "base/encoding.h"

namespace okibi::auth {
namespace {

bool isSigned(std::string_view lowerName) {
  return lowerName == "host" || lowerName == "content-type" || lowerName.starts_with("x-acs-");
}

std::string authorize(const RequestHead& request, const AccessKey& key, PathRule pathRule,
                      std::string_view payloadLine) {
  Authorization authorization;
  authorization.keyId = key.id;
  for (const auto& [name, value] : request.headers) {
    if (isSigned(toLower(name))) authorization.signedHeaders.push_back(toLower(name));
  }
  auto& names = authorization.signedHeaders;
  std::ranges::sort(names);
  names.erase(std::ranges::unique(names).begin(), names.end());
  // A query whose keys cannot stand plainly is signed with encoded keys, which every verifier of
  // ours accepts; a broken escape signs as it is and is refused by the other side.
  auto query = canonicalQuery(request.query, KeyRule::Plain);
  if (!query) query = canonicalQuery(request.query, KeyRule::Encoded);
  const std::string canonical = canonicalRequest(request, canonicalPath(request.path, pathRule),
                                                 query.value_or(request.query), names, payloadLine);
  authorization.signature = signatureOf(canonical, key.secret);
  return formatAuthorization(authorization);
}

}  // namespace

HeaderList signApi(const RequestHead& request, std::string_view action,
                   std::string_view bodySha256Hex, const AccessKey& key, WallTime now,
                   std::string_view nonce, std::string_view securityToken) {
  HeaderList added{{"x-acs-version", "2023-03-30"},
                   {"x-acs-action", std::string(action)},
                   {"x-acs-date", formatIso8601(now)},
                   {"x-acs-signature-nonce", std::string(nonce)},
                   {"x-acs-content-sha256", std::string(bodySha256Hex)}};
  if (!securityToken.empty()) {
    added.emplace_back("x-acs-accesskey-id", key.id);
    added.emplace_back("x-acs-security-token", std::string(securityToken));
  }
  RequestHead complete = request;
  complete.headers.insert(complete.headers.end(), added.begin(), added.end());
  added.emplace_back("Authorization",
                     authorize(complete, key, PathRule::ReplaceAll, bodySha256Hex));
  return added;
}

HeaderList signTrigger(const RequestHead& request, const AccessKey& key, WallTime now) {
  HeaderList added{{"x-acs-date", formatIso8601(now)}};
  RequestHead complete = request;
  complete.headers.push_back(added.front());
  added.emplace_back("Authorization", authorize(complete, key, PathRule::ReplaceAll, ""));
  return added;
}

}  // namespace okibi::auth
