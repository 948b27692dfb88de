// Custom domains: which function a request to one goes to, and whether it may.

#include <algorithm>

#include <fmt/format.h>

#include "conductor/clock.h"
#include "gateway/gateway.h"

namespace okibi::gateway {
namespace {

constexpr std::uint16_t kHttpsPort = 443;

// Only reading may follow with the same method everywhere; 308 keeps it.
int redirectStatus(std::string_view method) {
  return method == "GET" || method == "HEAD" ? 301 : 308;
}

}  // namespace

Result<Gateway::Route> Gateway::routeDomain(const net::Exchange& exchange,
                                            const conductor::Domain& domain) const {
  const net::RequestHead& head = exchange.request();
  const CustomDomain& config = *domain.config;
  if (config.protocol == DomainProtocol::Http && exchange.secure()) {
    return fail(
        ErrorKind::Denied,
        fmt::format("domain '{}' is served by HTTP only; its protocol is not HTTPS", domain.name),
        "AccessDenied");
  }
  // A name's own TLS rules count for it: a connection made for another name does not reach it.
  const std::string asked = exchange.serverName();
  if (!asked.empty() && conductor_.catalog().domains().find(asked) != &domain) {
    return fail(ErrorKind::Denied,
                fmt::format("the connection was made for '{}', the request is for '{}'", asked,
                            domain.name),
                "MisdirectedRequest");
  }
  auto way = domain.routes.follow(head.target);
  if (way.route == nullptr) {
    return fail(ErrorKind::NotFound,
                fmt::format("no route of domain '{}' leads on from '{}'", domain.name, head.path()),
                "RouteNotFound");
  }
  const auto& methods = way.route->methods;
  if (!methods.empty() && std::ranges::find(methods, head.method) == methods.end()) {
    return fail(ErrorKind::Denied,
                fmt::format("method {} is not allowed by route '{}' of domain '{}'", head.method,
                            way.route->path, domain.name));
  }
  if (way.target.size() > static_cast<std::size_t>(limits::kRequestTarget.count())) {
    return fail(ErrorKind::Invalid,
                fmt::format("the rewritten path has {} bytes, allowed {}", way.target.size(),
                            limits::kRequestTarget.count()),
                "InvalidArgument");
  }
  Route route;
  route.function = {domain.account, way.route->function};
  auto claims = authenticateCaller(config.http, ownersOf(route.function), head, head.path(),
                                   verifier_, conductor::wallNow());
  if (!claims) return fail(claims.error());
  route.qualifier = way.route->qualifier;
  route.target = std::move(way.target);
  route.http = config.http;
  route.claims = std::move(*claims);
  return route;
}

bool Gateway::mustBeSecure(const net::Exchange& exchange, const conductor::Domain& domain) {
  return domain.config->protocol == DomainProtocol::Https && !exchange.secure();
}

net::Task<void> Gateway::sendToHttps(net::Exchange& exchange, const std::string& requestId,
                                     const conductor::Domain& domain) const {
  if (options_.httpsPort == 0) {
    const Error error{ErrorKind::Denied,
                      fmt::format("domain '{}' is served by HTTPS only, and this platform was "
                                  "started without --listen-tls",
                                  domain.name),
                      "AccessDenied"};
    co_return co_await refuse(exchange, requestId, error);
  }
  const net::RequestHead& head = exchange.request();
  const std::string port =
      options_.httpsPort == kHttpsPort ? std::string() : fmt::format(":{}", options_.httpsPort);
  net::ResponseHead answer;
  answer.status = redirectStatus(head.method);
  answer.headers.add(
      "Location", fmt::format("https://{}{}{}", conductor::hostName(head.headers.getOr("host", "")),
                              port, head.target));
  answer.headers.add("X-Fc-Request-Id", requestId);
  // The connection's own failure ends the exchange; nobody is left to be told.
  (void)co_await net::answer(exchange, std::move(answer), {});
}

}  // namespace okibi::gateway
