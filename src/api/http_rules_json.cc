// authConfig and corsConfig of HTTP triggers (Function Compute: HTTP triggers).

#include "api/http_rules_json.h"

#include <algorithm>

#include <fmt/format.h>

#include "auth/jwt.h"
#include "base/encoding.h"
#include "net/http.h"

namespace okibi::api {
namespace {

constexpr std::size_t kMostTokens = 20, kMostUsers = 20, kMostOrigins = 100, kMostHeaders = 50;

void readBearer(const Reader& in, HttpTriggerConfig& out) {
  for (const Reader& one : in.objects("tokens").value_or(std::vector<Reader>())) {
    BearerToken token{one.text("tokenName").value_or(""), one.text("tokenData").value_or(""),
                      one.boolean("enable").value_or(true)};
    if (token.data.size() < 32 || token.data.size() > 128) {
      one.complain("tokenData",
                   fmt::format("has {} characters, allowed 32–128", token.data.size()));
    }
    out.bearer.push_back(std::move(token));
  }
  if (out.bearer.empty() || out.bearer.size() > kMostTokens) {
    in.complain("tokens",
                fmt::format("has {} entries, allowed 1–{}", out.bearer.size(), kMostTokens));
  }
}

void readBasic(const Reader& in, HttpTriggerConfig& out) {
  for (const Reader& one : in.objects("users").value_or(std::vector<Reader>())) {
    BasicUser user{one.text("username").value_or(""), one.text("password").value_or("")};
    if (user.user.empty() || user.user.find(':') != std::string::npos) {
      one.complain("username", "is required and may not hold ':'");
    }
    if (user.password.empty()) one.complain("password", "is required");
    out.basic.push_back(std::move(user));
  }
  if (out.basic.empty() || out.basic.size() > kMostUsers) {
    in.complain("users", fmt::format("has {} entries, allowed 1–{}", out.basic.size(), kMostUsers));
  }
}

// "header:Authorization:Bearer,cookie:token,query:jwt"
void readLookup(const Reader& in, JwtRule& rule) {
  const std::string text = in.text("tokenLookup").value_or("header:Authorization:Bearer");
  for (std::string_view entry : split(text, ',')) {
    const auto parts = split(trim(entry), ':');
    const std::string kind(parts[0]);
    const bool known = kind == "header" || kind == "cookie" || kind == "query";
    if (!known || parts.size() < 2 || parts.size() > 3 || parts[1].empty()) {
      in.complain("tokenLookup", fmt::format("'{}' is not header:NAME[:PREFIX], cookie:NAME or "
                                             "query:NAME",
                                             entry));
      continue;
    }
    rule.lookup.push_back(
        {{kind, std::string(parts[1])}, parts.size() == 3 ? std::string(parts[2]) : ""});
  }
}

// "query:uid:uid,header:name:X-Name": where it goes, the claim, its name there.
void readPassed(const Reader& in, JwtRule& rule) {
  const std::string text = in.text("claimPassBy").value_or("");
  if (text.empty()) return;
  for (std::string_view entry : split(text, ',')) {
    const auto parts = split(trim(entry), ':');
    const bool known = parts[0] == "header" || parts[0] == "query";
    if (!known || parts.size() != 3 || parts[1].empty() || !net::isToken(parts[2])) {
      in.complain("claimPassBy",
                  fmt::format("'{}' is not header:CLAIM:NAME or query:CLAIM:NAME", entry));
      continue;
    }
    rule.claims.push_back({{std::string(parts[0]), std::string(parts[2])}, std::string(parts[1])});
  }
}

void readKey(const Reader& in, JwtRule& rule) {
  const json::value* keys = nullptr;
  if (const json::value* jwks = in.find("jwks"); jwks && jwks->is_object()) {
    keys = jwks->get_object().if_contains("keys");
  }
  if (keys == nullptr || !keys->is_array() || keys->get_array().size() != 1 ||
      !keys->get_array()[0].is_object()) {
    return in.complain("jwks", "must be {\"keys\": [one key]}");
  }
  rule.key = json::serialize(keys->get_array()[0]);
  if (auto good = auth::checkJwk(rule.key); !good) in.complain("jwks", good.error().message);
}

// A list, or one text with commas.
std::vector<std::string> pathsAt(const Reader& in, std::string_view key) {
  const json::value* value = in.find(key);
  std::vector<std::string> out;
  if (value && value->is_string()) {
    for (std::string_view one : split(value->get_string(), ',')) {
      if (!trim(one).empty()) out.emplace_back(trim(one));
    }
  } else if (value) {
    out = in.texts(key).value_or(out);
  }
  for (const std::string& path : out) {
    if (!path.starts_with('/')) in.complain(key, fmt::format("'{}' must begin with '/'", path));
  }
  return out;
}

void readJwt(const Reader& in, HttpTriggerConfig& out) {
  JwtRule rule;
  readKey(in, rule);
  readLookup(in, rule);
  readPassed(in, rule);
  rule.open = pathsAt(in, "whitelist");
  rule.closed = pathsAt(in, "blacklist");
  if (!rule.open.empty() && !rule.closed.empty()) {
    in.complain("blacklist", "whitelist and blacklist exclude each other");
  }
  out.jwt = std::move(rule);
}

void readRules(const Reader& in, HttpTriggerConfig& out) {
  if (out.auth == HttpAuth::Bearer) readBearer(in, out);
  if (out.auth == HttpAuth::Basic) readBasic(in, out);
  if (out.auth == HttpAuth::Jwt) readJwt(in, out);
}

}  // namespace

void readHttpAuth(const Reader& in, Complaints& complaints, HttpTriggerConfig& out,
                  std::string_view rulesKey) {
  constexpr std::pair<std::string_view, HttpAuth> kTypes[] = {{"anonymous", HttpAuth::Anonymous},
                                                              {"function", HttpAuth::Function},
                                                              {"bearer", HttpAuth::Bearer},
                                                              {"basic", HttpAuth::Basic},
                                                              {"jwt", HttpAuth::Jwt}};
  constexpr std::string_view kWords = "anonymous, function, bearer, basic or jwt";
  const auto type = in.text("authType");
  // No default: a URL that is open to everybody has to be asked for.
  if (!in.has("authType")) return in.complain("authType", fmt::format("is required: {}", kWords));
  if (!type) return;
  const auto known =
      std::ranges::find(kTypes, *type, &std::pair<std::string_view, HttpAuth>::first);
  if (known == std::end(kTypes)) {
    return in.complain("authType", fmt::format("'{}' is not offered; use {}", *type, kWords));
  }
  out.auth = known->second;
  const bool bare = out.auth == HttpAuth::Anonymous || out.auth == HttpAuth::Function;
  const json::value* config = in.find(rulesKey);
  if (bare) return;
  if (config == nullptr) {
    return in.complain(rulesKey, fmt::format("is required for authType {}", *type));
  }
  // JSON text inside JSON, or the object itself.
  if (const json::object* object = config->if_object()) {
    return readRules(Reader(*object, complaints, in.pathOf(rulesKey)), out);
  }
  auto object = parseObject(in.text(rulesKey).value_or(""), rulesKey);
  if (!object) return in.complain(rulesKey, "is not a JSON object");
  readRules(Reader(*object, complaints, in.pathOf(rulesKey)), out);
}

void readCors(const Reader& in, std::optional<CorsRule>& out) {
  const auto cors = in.object("corsConfig");
  if (!cors || !in.hasValue("corsConfig")) return;
  CorsRule rule;
  const auto list = [&](std::string_view key, std::vector<std::string>& into, std::size_t most) {
    into = cors->texts(key).value_or(std::vector<std::string>());
    if (into.size() > most) {
      cors->complain(key, fmt::format("has {} entries, allowed {}", into.size(), most));
    }
    for (const std::string& one : into) {
      if (one != "*" && one.find('*') != std::string::npos) {
        cors->complain(key, fmt::format("'{}': '*' stands for itself only", one));
      }
      if (!net::isFieldValue(one)) cors->complain(key, "holds what no header may hold");
    }
  };
  list("allowOrigins", rule.origins, kMostOrigins);
  list("allowMethods", rule.methods, kMostHeaders);
  list("allowHeaders", rule.headers, kMostHeaders);
  list("exposeHeaders", rule.exposed, kMostHeaders);
  rule.credentials = cors->boolean("allowCredentials").value_or(false);
  rule.maxAge = Seconds(cors->integer("maxAge").value_or(3600));
  if (rule.maxAge < Seconds(0) || rule.maxAge > Seconds(86400)) {
    cors->complain("maxAge", fmt::format("{} s is not in 0–86400 s", rule.maxAge.count()));
  }
  if (rule.credentials && std::ranges::find(rule.origins, "*") != rule.origins.end()) {
    cors->complain("allowCredentials", "forbids '*' among allowOrigins");
  }
  out = std::move(rule);
}

}  // namespace okibi::api
