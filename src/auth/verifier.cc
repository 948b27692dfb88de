#include "auth/verifier.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <span>

#include <fmt/format.h>

#include "auth/canonical.h"
#include "auth/digest.h"
#include "auth/legacy.h"
#include "auth/temporary_key.h"
#include "base/encoding.h"

namespace okibi::auth {
namespace {

constexpr std::size_t kNonceMax = 128;

std::unexpected<Error> missing(std::string_view header) {
  return fail(ErrorKind::Invalid, fmt::format("required HTTP header {} was not specified", header),
              "MissingRequiredHeader");
}

std::unexpected<Error> notMatching(std::string_view why) {
  return fail(ErrorKind::Denied, std::string(why), "SignatureNotMatch");
}

Result<Authorization> readAuthorization(const RequestHead& request) {
  const auto text = headerValue(request, "authorization");
  if (!text) return missing("Authorization");
  auto parsed = parseAuthorization(*text);
  if (!parsed) {
    return notMatching(
        "the Authorization header is not of the form 'ACS3-HMAC-SHA256 "
        "Credential=…,SignedHeaders=…,Signature=…'");
  }
  return std::move(*parsed);
}

Result<void> checkSkew(WallTime date, WallTime now) {
  if (std::chrono::abs(now - date) <= limits::kSignatureSkew) return {};
  return fail(ErrorKind::Denied,
              fmt::format("the difference between the request time {} and the current time {} is "
                          "too large; 15 minutes are allowed",
                          formatIso8601(date), formatIso8601(now)),
              "AccessDenied");
}

std::unexpected<Error> noDate(std::string_view header, std::string_view text,
                              std::string_view example) {
  return fail(ErrorKind::Invalid,
              fmt::format("{}: '{}' is not a date like {}", header, text.substr(0, 40), example),
              "InvalidArgument");
}

Result<WallTime> readDate(const RequestHead& request, WallTime now) {
  const auto text = headerValue(request, "x-acs-date");
  if (!text || text->empty()) return missing("x-acs-date");
  const auto date = parseIso8601(*text);
  if (!date) return noDate("x-acs-date", *text, "2026-11-24T08:34:58Z");
  if (auto near = checkSkew(*date, now); !near) return fail(std::move(near.error()));
  return *date;
}

Result<WallTime> readLegacyDate(const RequestHead& request, WallTime now) {
  const auto text = headerValue(request, "date");
  if (!text || text->empty()) return missing("date");
  const auto date = parseHttpDate(*text);
  if (!date) return noDate("date", *text, "Tue, 24 Nov 2026 08:34:58 GMT");
  if (auto near = checkSkew(*date, now); !near) return fail(std::move(near.error()));
  return *date;
}

std::unexpected<Error> noSuchKey(const std::string& id) {
  return fail(ErrorKind::Denied,
              fmt::format("the access key id '{}' does not exist", id.substr(0, 64)),
              "InvalidAccessKeyID");
}

// A header outside the signature could be changed on the way without anybody noticing.
Result<void> requireSigned(const RequestHead& request, const Authorization& authorization) {
  for (const auto& [name, value] : request.headers) {
    const std::string lower = toLower(name);
    if (lower != "host" && !lower.starts_with("x-acs-")) continue;
    if (std::ranges::find(authorization.signedHeaders, lower) ==
        authorization.signedHeaders.end()) {
      return notMatching(fmt::format("the header {} is sent but not among SignedHeaders", lower));
    }
  }
  return {};
}

// The official packages differ in small points; the signature may match any of the forms, all of
// which say the same request.
Result<void> matchSignature(const RequestHead& request, const Authorization& authorization,
                            const AccessKey& key, std::span<const PathRule> pathRules,
                            std::string_view payloadLine) {
  bool matched = false;
  for (const PathRule pathRule : pathRules) {
    for (const KeyRule keyRule : {KeyRule::Plain, KeyRule::Encoded}) {
      const auto query = canonicalQuery(request.query, keyRule);
      if (!query) continue;
      const std::string canonical =
          canonicalRequest(request, canonicalPath(request.path, pathRule), *query,
                           authorization.signedHeaders, payloadLine);
      matched |= constantTimeEqual(signatureOf(canonical, key.secret), authorization.signature);
      if (matched) return {};
    }
  }
  return notMatching(
      "the request signature we calculated does not match the signature you provided; check the "
      "access key secret and that proxies keep Host and the path");
}

bool isHexDigest(std::string_view text) {
  return text.size() == 64 && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace

Result<TemporaryAccess> Verifier::find(const RequestHead& request, const std::string& id,
                                       const std::vector<std::string>& signedHeaders,
                                       WallTime now) const {
  if (!id.starts_with(kTemporaryPrefix)) {
    auto key = keys_(id);
    if (!key) return noSuchKey(id);
    return TemporaryAccess{std::move(*key), {}, {}};
  }
  if (!temporary_) return noSuchKey(id);
  constexpr std::string_view kHeader = "x-acs-security-token";
  const auto token = headerValue(request, kHeader);
  if (!token || token->empty()) return missing(kHeader);
  if (std::ranges::find(signedHeaders, kHeader) == signedHeaders.end()) {
    return notMatching(fmt::format("the header {} is not among SignedHeaders", kHeader));
  }
  return temporary_(id, *token, now);
}

Result<Caller> Verifier::verifyApi(const RequestHead& request, WallTime now) {
  auto authorization = readAuthorization(request);
  if (!authorization) return fail(std::move(authorization.error()));
  for (const std::string_view name :
       {"host", "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256"}) {
    const auto value = headerValue(request, name);
    if (!value || value->empty()) return missing(name);
  }
  const auto nonce = *headerValue(request, "x-acs-signature-nonce");
  if (nonce.size() > kNonceMax) {
    return fail(
        ErrorKind::Invalid,
        fmt::format("x-acs-signature-nonce: {} characters, allowed {}", nonce.size(), kNonceMax),
        "InvalidArgument");
  }
  const auto access = find(request, authorization->keyId, authorization->signedHeaders, now);
  if (!access) return fail(access.error());
  const AccessKey& key = access->key;
  const auto date = readDate(request, now);
  if (!date) return fail(date.error());
  if (auto all = requireSigned(request, *authorization); !all) return fail(std::move(all.error()));

  Caller caller{key.account, key.id, *headerValue(request, "x-acs-content-sha256"), access->role};
  if (!isHexDigest(caller.bodySha256)) {
    return fail(ErrorKind::Invalid, "x-acs-content-sha256 is not a lower-case hex SHA-256",
                "InvalidArgument");
  }
  constexpr std::array kRules{PathRule::ReplaceAll};
  auto matched = matchSignature(request, *authorization, key, kRules, caller.bodySha256);
  if (!matched) return fail(std::move(matched.error()));
  // Temporary keys come and go; the nonces of a role's are remembered together.
  const std::string& signer = access->roleId.empty() ? key.id : access->roleId;
  if (!nonces_.admit(signer, nonce, *date, now)) {
    return fail(ErrorKind::Denied,
                "x-acs-signature-nonce was used before; each request needs a new one",
                "AccessDenied");
  }
  return caller;
}

bool Verifier::isLegacy(const RequestHead& request) {
  return headerValue(request, "authorization").value_or("").starts_with("FC ");
}

Result<Caller> Verifier::verifyLegacy(const RequestHead& request, WallTime now) {
  const auto text = headerValue(request, "authorization");
  if (!text) return missing("Authorization");
  const auto authorization = parseLegacyAuthorization(*text);
  if (!authorization) {
    return notMatching("the Authorization header is not of the form 'FC KEYID:SIGNATURE'");
  }
  const auto date = readLegacyDate(request, now);
  if (!date) return fail(date.error());
  const auto key = keys_(authorization->keyId);
  if (!key) return noSuchKey(authorization->keyId);
  if (!constantTimeEqual(legacySignatureOf(request, key->secret), authorization->signature)) {
    return notMatching(
        "the request signature we calculated does not match the signature you provided; check the "
        "access key secret and that proxies keep the path");
  }
  if (!nonces_.admit(key->id, *text, *date, now)) {
    return fail(ErrorKind::Denied,
                "this signature was used before; a second later there is a new one",
                "AccessDenied");
  }
  return Caller{key->account, key->id, {}};
}

Result<void> Verifier::checkBody(const Caller& caller, std::string_view bodySha256Hex) {
  if (constantTimeEqual(caller.bodySha256, bodySha256Hex)) return {};
  return notMatching("the body does not have the SHA-256 that x-acs-content-sha256 says");
}

Result<Caller> Verifier::verifyTrigger(const RequestHead& request, WallTime now) const {
  const auto authorization = readAuthorization(request);
  if (!authorization) return fail(authorization.error());
  const auto date = readDate(request, now);
  if (!date) return fail(date.error());
  const auto& names = authorization->signedHeaders;
  const auto access = find(request, authorization->keyId, names, now);
  if (!access) return fail(access.error());
  if (std::ranges::find(names, "x-acs-date") == names.end()) {
    return notMatching("the header x-acs-date is not among SignedHeaders");
  }
  constexpr std::array kRules{PathRule::ReplaceAll, PathRule::ReplaceFirst};
  auto matched = matchSignature(request, *authorization, access->key, kRules, "");
  if (!matched) return fail(std::move(matched.error()));
  return Caller{access->key.account, access->key.id, {}, access->role};
}

}  // namespace okibi::auth
