#include "api/domain_json.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "api/http_rules_json.h"
#include "api/json_reader.h"
#include "auth/certificate.h"
#include "base/encoding.h"
#include "base/limits.h"
#include "net/cipher_suites.h"

namespace okibi::api {
namespace {

// In order of DomainProtocol and HttpAuth.
constexpr std::array<std::string_view, 3> kProtocols{"HTTP", "HTTPS", "HTTP,HTTPS"};
constexpr std::array<std::string_view, 5> kAuthTypes{"anonymous", "function", "bearer", "basic",
                                                     "jwt"};
constexpr std::array<std::string_view, 2> kTlsVersions{"TLSv1.2", "TLSv1.3"};
constexpr std::array<std::string_view, 7> kMethods{"GET",  "POST",  "PUT",    "DELETE",
                                                   "HEAD", "PATCH", "OPTIONS"};

void readProtocol(const Reader& in, CustomDomain& out) {
  const auto text = in.text("protocol");
  if (!text) return;
  const auto found = std::ranges::find(kProtocols, *text);
  if (found == kProtocols.end()) {
    return in.complain("protocol", fmt::format("'{}' is not HTTP, HTTPS or 'HTTP,HTTPS'", *text));
  }
  out.protocol = static_cast<DomainProtocol>(found - kProtocols.begin());
}

std::vector<RewriteRule> readRules(const Reader& in, std::string_view key) {
  std::vector<RewriteRule> out;
  for (const Reader& one : in.objects(key).value_or(std::vector<Reader>())) {
    for (std::string_view member : {"match", "replacement"}) {
      if (!one.has(member)) one.complain(member, "is required");
    }
    out.push_back({one.text("match").value_or(""), one.text("replacement").value_or("")});
  }
  return out;
}

DomainRoute readRoute(const Reader& in) {
  DomainRoute route;
  for (std::string_view key : {"path", "functionName"}) {
    if (!in.hasValue(key)) in.complain(key, "is required");
  }
  route.path = in.text("path").value_or("");
  route.function = in.text("functionName").value_or("");
  if (const auto text = in.text("qualifier"); text && !text->empty()) route.qualifier = *text;
  for (const std::string& method : in.texts("methods").value_or(std::vector<std::string>())) {
    if (std::ranges::find(kMethods, method) == kMethods.end()) {
      in.complain("methods", fmt::format("'{}' is not one of GET, POST, PUT, DELETE, HEAD, PATCH, "
                                         "OPTIONS",
                                         method));
    }
    route.methods.push_back(method);
  }
  if (const auto rewrite = in.object("rewriteConfig")) {
    route.equal = readRules(*rewrite, "equalRules");
    route.wildcard = readRules(*rewrite, "wildcardRules");
    route.regex = readRules(*rewrite, "regexRules");
  }
  return route;
}

void readRoutes(const Reader& in, CustomDomain& out) {
  const auto config = in.object("routeConfig");
  if (!config) return;
  out.routes.clear();
  for (const Reader& one : config->objects("routes").value_or(std::vector<Reader>())) {
    out.routes.push_back(readRoute(one));
  }
}

void readCertificate(const Reader& in, CustomDomain& out, WallTime now) {
  const auto config = in.object("certConfig");
  if (!config || !in.hasValue("certConfig")) return;
  DomainCertificate certificate = out.certificate.value_or(DomainCertificate());
  const auto take = [&](std::string_view key, std::string& into) {
    if (auto text = config->text(key); text && !text->empty()) into = std::move(*text);
    if (into.empty()) config->complain(key, "is required");
    return !into.empty();
  };
  bool whole = take("certName", certificate.name);
  whole &= take("certificate", certificate.chain);
  whole &= take("privateKey", certificate.key);
  if (!whole) return;
  if (auto good = auth::checkCertificate(certificate.chain, certificate.key, now); !good) {
    // "privateKey: does not …"
    const std::string& said = good.error().message;
    const auto colon = said.find(": ");
    config->complain(said.substr(0, colon), said.substr(colon + 2));
  }
  out.certificate = std::move(certificate);
}

void readVersion(const Reader& in, std::string_view key, std::string& out) {
  const auto text = in.text(key);
  if (!text || text->empty()) return;
  if (std::ranges::find(kTlsVersions, *text) == kTlsVersions.end()) {
    in.complain(key,
                fmt::format("'{}' is not TLSv1.2 or TLSv1.3; older ones are not offered", *text));
  }
  out = *text;
}

void readTls(const Reader& in, CustomDomain& out) {
  const auto config = in.object("tlsConfig");
  if (!config) return;
  out.tls.reset();
  if (!in.hasValue("tlsConfig")) return;
  DomainTls tls;
  readVersion(*config, "minVersion", tls.minVersion);
  readVersion(*config, "maxVersion", tls.maxVersion);
  if (tls.minVersion > tls.maxVersion) {
    config->complain("maxVersion",
                     fmt::format("{} is below minVersion {}", tls.maxVersion, tls.minVersion));
  }
  tls.suites = config->texts("cipherSuites").value_or(std::vector<std::string>());
  if (tls.suites.size() > limits::kCipherSuites) {
    config->complain("cipherSuites", fmt::format("has {} entries, allowed {}", tls.suites.size(),
                                                 limits::kCipherSuites));
  } else if (auto suites = net::chooseSuites(tls.suites); !suites) {
    config->complain("cipherSuites", suites.error().message);
  }
  out.tls = std::move(tls);
}

void readAuth(const Reader& in, Complaints& complaints, CustomDomain& out) {
  const auto config = in.object("authConfig");
  if (!config) return;
  HttpTriggerConfig http;
  http.cors = std::move(out.http.cors);
  out.authGiven = in.hasValue("authConfig");
  if (out.authGiven) readHttpAuth(*config, complaints, http, "authInfo");
  out.http = std::move(http);
  const json::value* info = config->find("authInfo");
  const bool object = info != nullptr && info->is_object();
  out.authInfo = object ? json::serialize(*info) : config->text("authInfo").value_or("");
}

void refuseWhatIsNotThere(const Reader& in) {
  if (const auto waf = in.object("wafConfig"); waf && waf->hasValue("enableWAF")) {
    waf->complain("enableWAF", "there is no web application firewall here");
  }
  if (in.boolean("isE2B").value_or(false)) in.complain("isE2B", "is not offered");
}

json::array rulesJson(const std::vector<RewriteRule>& rules) {
  json::array out;
  for (const RewriteRule& rule : rules) {
    out.push_back(json::object{{"match", toJsonText(rule.match)},
                               {"replacement", toJsonText(rule.replacement)}});
  }
  return out;
}

json::array textsJson(const std::vector<std::string>& texts) {
  json::array out;
  for (const std::string& text : texts) out.emplace_back(toJsonText(text));
  return out;
}

json::object routeJson(const DomainRoute& route) {
  json::object out{{"path", toJsonText(route.path)},
                   {"functionName", toJsonText(route.function)},
                   {"qualifier", toJsonText(route.qualifier)}};
  if (!route.methods.empty()) out["methods"] = textsJson(route.methods);
  json::object rewrite;
  if (!route.equal.empty()) rewrite["equalRules"] = rulesJson(route.equal);
  if (!route.wildcard.empty()) rewrite["wildcardRules"] = rulesJson(route.wildcard);
  if (!route.regex.empty()) rewrite["regexRules"] = rulesJson(route.regex);
  if (!rewrite.empty()) out["rewriteConfig"] = std::move(rewrite);
  return out;
}

json::object corsJson(const CorsRule& rule) {
  return {{"allowOrigins", textsJson(rule.origins)}, {"allowMethods", textsJson(rule.methods)},
          {"allowHeaders", textsJson(rule.headers)}, {"exposeHeaders", textsJson(rule.exposed)},
          {"allowCredentials", rule.credentials},    {"maxAge", rule.maxAge.count()}};
}

}  // namespace

Result<CustomDomain> readDomain(const json::object& body, CustomDomain current, WallTime now) {
  Complaints complaints;
  const Reader in(body, complaints);
  readProtocol(in, current);
  readRoutes(in, current);
  readCertificate(in, current, now);
  readTls(in, current);
  readAuth(in, complaints, current);
  if (in.has("corsConfig")) current.http.cors.reset();
  readCors(in, current.http.cors);
  refuseWhatIsNotThere(in);
  if (current.protocol != DomainProtocol::Http && !current.certificate &&
      !in.hasValue("certConfig")) {
    in.complain("certConfig", "is required for HTTPS");
  }
  if (auto verdict = complaints.verdict(); !verdict) return fail(verdict.error());
  return current;
}

json::object domainJson(const conductor::Domain& domain) {
  const CustomDomain& config = *domain.config;
  json::array routes;
  for (const DomainRoute& route : config.routes) routes.push_back(routeJson(route));
  json::object out{{"domainName", toJsonText(domain.name)},
                   {"protocol", kProtocols.at(static_cast<std::size_t>(config.protocol))},
                   {"accountId", toJsonText(domain.account)},
                   {"apiVersion", "2023-03-30"},
                   {"subdomainCount", "0"},
                   {"isE2B", false},
                   {"routeConfig", json::object{{"routes", std::move(routes)}}},
                   {"wafConfig", json::object{{"enableWAF", false}}},
                   {"createdTime", formatIso8601(config.created)},
                   {"lastModifiedTime", formatIso8601(config.modified)}};
  if (config.authGiven) {
    json::object auth{{"authType", kAuthTypes.at(static_cast<std::size_t>(config.http.auth))}};
    if (!config.authInfo.empty()) auth["authInfo"] = toJsonText(config.authInfo);
    out["authConfig"] = std::move(auth);
  }
  if (config.certificate) {
    out["certConfig"] = json::object{{"certName", toJsonText(config.certificate->name)},
                                     {"certificate", toJsonText(config.certificate->chain)}};
  }
  if (config.tls) {
    out["tlsConfig"] = json::object{{"minVersion", config.tls->minVersion},
                                    {"maxVersion", config.tls->maxVersion},
                                    {"cipherSuites", textsJson(config.tls->suites)}};
  }
  if (config.http.cors) out["corsConfig"] = corsJson(*config.http.cors);
  return out;
}

}  // namespace okibi::api
