#pragma once
// Verifier: is this request signed by the key it names? ACS3-HMAC-SHA256 as the official SDKs
// compute it (Function Compute: signatures, of the control API and of HTTP triggers). Pure but for
// its memory of nonces; one thread.
//
// Refusals carry a wire code: MissingRequiredHeader (Invalid, 400); InvalidAccessKeyID,
// SignatureNotMatch, AccessDenied (stale date, replayed nonce), InvalidSecurityToken.* (Denied,
// 403). Messages never contain a secret or the expected signature.

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/access_key.h"
#include "auth/nonce_cache.h"
#include "auth/request.h"
#include "base/result.h"
#include "base/units.h"

namespace okibi::auth {

// nullopt: no such key.
using KeyLookup = std::function<std::optional<AccessKey>(std::string_view id)>;

// A key that acts for a role, found by its token.
struct TemporaryAccess {
  AccessKey key;
  std::string role, roleId;
};
using TemporaryLookup = std::function<Result<TemporaryAccess>(
    std::string_view id, std::string_view token, WallTime now)>;

// Who sent the request, once the signature was found good.
struct Caller {
  std::string account, accessKeyId;
  std::string bodySha256;  // control API: what the body must hash to; empty for HTTP triggers
  std::string role = {};   // what it may do is the role's; empty: all that the account may
};

class Verifier {
 public:
  // `temporary`: for key ids with kTemporaryPrefix, whose token must be sent and signed; without it
  // there are none.
  explicit Verifier(KeyLookup keys, TemporaryLookup temporary = {})
      : keys_(std::move(keys)), temporary_(std::move(temporary)) {}

  // Control API. Needs only the head, so a stranger is refused before his body is read; the body is
  // checked afterwards with checkBody(). Every x-acs-* header and host must be among the signed
  // ones.
  Result<Caller> verifyApi(const RequestHead& request, WallTime now);

  // The older SDKs' signature ("FC …", auth/legacy.h), for a request without a body: date required,
  // and since the query is not signed, each signature is accepted once.
  static bool isLegacy(const RequestHead& request);
  Result<Caller> verifyLegacy(const RequestHead& request, WallTime now);

  // The body's SHA-256 (lower hex, Sha256) against the signed one. SignatureNotMatch.
  static Result<void> checkBody(const Caller& caller, std::string_view bodySha256Hex);

  // HTTP trigger with authType `function`: empty payload line, x-acs-date required, no nonce. Both
  // ways of normalizing the path that the official packages have are accepted, and an empty
  // x-acs-security-token that was signed but not sent.
  Result<Caller> verifyTrigger(const RequestHead& request, WallTime now) const;

 private:
  Result<TemporaryAccess> find(const RequestHead& request, const std::string& id,
                               const std::vector<std::string>& signedHeaders, WallTime now) const;

  KeyLookup keys_;
  TemporaryLookup temporary_;
  NonceCache nonces_;
};

}  // namespace okibi::auth
