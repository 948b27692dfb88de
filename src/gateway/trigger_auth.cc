#include "gateway/trigger_auth.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "auth/digest.h"
#include "auth/jwt.h"
#include "base/encoding.h"

namespace okibi::gateway {
namespace {

std::unexpected<Error> denied(std::string message) {
  return fail(ErrorKind::Denied, std::move(message), "AccessDenied");
}

Result<void> checkBearer(const HttpTriggerConfig& http, const net::RequestHead& head) {
  constexpr std::string_view kScheme = "Bearer ";
  const std::string_view given = head.headers.getOr("authorization", "");
  if (given.empty()) return denied("Authorization header is expected but missing");
  const bool scheme = equalsIgnoreCase(given.substr(0, kScheme.size()), kScheme);
  const std::string_view token = scheme ? given.substr(kScheme.size()) : std::string_view();
  bool known = false;
  // All are compared, so that the time does not tell which one came near.
  for (const BearerToken& one : http.bearer) {
    known |= one.enabled && auth::constantTimeEqual(one.data, token);
  }
  if (known) return {};
  return denied("access denied due to invalid bearer token");
}

Result<void> checkBasic(const HttpTriggerConfig& http, const net::RequestHead& head) {
  constexpr std::string_view kScheme = "Basic ";
  const std::string_view given = head.headers.getOr("authorization", "");
  if (given.empty()) return denied("authorization require");
  if (!equalsIgnoreCase(given.substr(0, kScheme.size()), kScheme)) {
    return denied("Authorization header must start with Basic");
  }
  const auto login = fromBase64(trim(given.substr(kScheme.size())));
  bool known = false;
  for (const BasicUser& one : http.basic) {
    known |= login && auth::constantTimeEqual(one.user + ":" + one.password, *login);
  }
  if (known) return {};
  return denied("access denied due to invalid user or password");
}

bool matches(const std::vector<std::string>& paths, std::string_view path) {
  return std::ranges::any_of(paths, [path](std::string_view pattern) {
    if (!pattern.ends_with('*')) return path == pattern;
    return path.starts_with(pattern.substr(0, pattern.size() - 1));
  });
}

std::optional<std::string> cookie(const net::RequestHead& head, std::string_view name) {
  for (const auto field : head.headers) {
    if (!equalsIgnoreCase(field.name, "cookie")) continue;
    for (std::string_view pair : split(field.value, ';')) {
      pair = trim(pair);
      const auto equals = pair.find('=');
      if (equals != std::string_view::npos && pair.substr(0, equals) == name) {
        return std::string(pair.substr(equals + 1));
      }
    }
  }
  return std::nullopt;
}

std::optional<std::string> queryValue(const net::RequestHead& head, std::string_view name) {
  for (std::string_view pair : split(head.query(), '&')) {
    const auto equals = pair.find('=');
    if (equals != std::string_view::npos && pair.substr(0, equals) == name) {
      return percentDecode(pair.substr(equals + 1));
    }
  }
  return std::nullopt;
}

std::optional<std::string> tokenAt(const TokenPlace& at, const net::RequestHead& head) {
  std::optional<std::string> found;
  if (at.place.kind == "header") {
    if (const auto value = head.headers.get(at.place.name)) found = std::string(*value);
  } else if (at.place.kind == "cookie") {
    found = cookie(head, at.place.name);
  } else {
    found = queryValue(head, at.place.name);
  }
  if (!found || at.prefix.empty()) return found;
  const std::string prefix = at.prefix + " ";
  if (!equalsIgnoreCase(found->substr(0, prefix.size()), prefix)) return std::nullopt;
  return found->substr(prefix.size());
}

Result<PassedOn> checkJwt(const JwtRule& rule, const net::RequestHead& head, std::string_view path,
                          WallTime now) {
  const bool asked = rule.closed.empty() ? !matches(rule.open, path) : matches(rule.closed, path);
  if (!asked) return PassedOn{};
  std::optional<std::string> token;
  for (const TokenPlace& place : rule.lookup) {
    if (!token) token = tokenAt(place, head);
  }
  if (!token) return denied("missing or malformed jwt");
  auto claims = auth::verifyJwt(*token, rule.key, now);
  if (!claims) return fail(claims.error());
  PassedOn out;
  for (const PassedClaim& passed : rule.claims) {
    const auto claim = claims->find(passed.claim);
    if (claim == claims->end()) continue;
    auto& list = passed.place.kind == "header" ? out.headers : out.query;
    list.emplace_back(passed.place.name, claim->second);
  }
  return out;
}

}  // namespace

Result<PassedOn> authenticateCaller(const HttpTriggerConfig& http, const MayCall& mayCall,
                                    const net::RequestHead& head, std::string_view path,
                                    const auth::Verifier& verifier, WallTime now) {
  Result<void> allowed;
  switch (http.auth) {
    case HttpAuth::Anonymous:
      break;
    case HttpAuth::Bearer:
      allowed = checkBearer(http, head);
      break;
    case HttpAuth::Basic:
      allowed = checkBasic(http, head);
      break;
    case HttpAuth::Jwt:
      if (http.jwt) return checkJwt(*http.jwt, head, path, now);
      return denied("there is no key for tokens");
    case HttpAuth::Function: {
      auto caller = verifier.verifyTrigger(auth::signedPart(head), now);
      if (!caller) return fail(caller.error());
      allowed = mayCall(*caller);
      break;
    }
  }
  if (!allowed) return fail(allowed.error());
  return PassedOn{};
}

void passOn(const PassedOn& claims, net::RequestHead& head, std::string& target) {
  for (const auto& [name, value] : claims.headers) {
    // A claim is the signer's text; one that is no header value stays out.
    head.headers.remove(name);
    if (net::isFieldValue(value)) head.headers.add(name, value);
  }
  for (const auto& [name, value] : claims.query) {
    target += target.find('?') == std::string::npos ? '?' : '&';
    target += percentEncode(name) + "=" + percentEncode(value);
  }
}

}  // namespace okibi::gateway
