#include "gateway/gateway.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/encoding.h"
#include "base/random.h"
#include "conductor/clock.h"
#include "conductor/error_answer.h"
#include "gateway/cors.h"
#include "gateway/invocation_type.h"

namespace okibi::gateway {
namespace {

constexpr std::string_view kApiPrefix = "/2023-03-30/functions/";
constexpr std::string_view kInvocations = "/invocations";
constexpr std::string_view kProxyPrefix = "/proxy/";

bool isApiInvocation(std::string_view path) {
  return path.starts_with(kApiPrefix) && path.ends_with(kInvocations) &&
         path.size() > kApiPrefix.size() + kInvocations.size();
}

}  // namespace

// A trigger's own host, or a custom domain, comes first: below it every path is the function's.
bool Gateway::isInvocation(const net::RequestHead& head) const {
  return isApiInvocation(head.path()) &&
         !options_.addresses.match(head.headers.getOr("host", "")) && domainOf(head) == nullptr;
}

bool Gateway::owns(const net::RequestHead& head) const {
  std::string_view target = head.target;
  return isApiInvocation(head.path()) || labelOf(head, target).has_value() || ownsHost(head);
}

const conductor::Domain* Gateway::domainOf(const net::RequestHead& head) const {
  const std::string_view host = head.headers.getOr("host", "");
  return options_.addresses.match(host) ? nullptr : conductor_.catalog().domains().find(host);
}

// A name says more than a path: below a trigger's name every path is the function's.
std::optional<conductor::TriggerAddresses::Match> Gateway::labelOf(const net::RequestHead& head,
                                                                   std::string_view& target) const {
  if (auto match = options_.addresses.match(head.headers.getOr("host", ""))) return match;
  if (!target.starts_with(kProxyPrefix) || ownsHost(head)) return std::nullopt;
  target.remove_prefix(kProxyPrefix.size());
  const std::size_t end = std::min(target.find_first_of("/?"), target.size());
  const std::string_view label = target.substr(0, end);
  target.remove_prefix(end);
  return conductor::TriggerAddresses::Match{label, conductor::Reach::Internet};
}

Result<Gateway::Route> Gateway::routeTrigger(const net::Exchange& exchange) const {
  const net::RequestHead& head = exchange.request();
  std::string_view target = head.target;
  const auto match = labelOf(head, target);
  const Trigger* trigger =
      match ? conductor_.catalog().triggerByLabel(toLower(match->label)) : nullptr;
  if (trigger == nullptr || trigger->type != "http") {
    return fail(ErrorKind::NotFound, "no HTTP trigger has this address", "TriggerNotFound");
  }
  // The inner name is for this machine; anybody can write it into a Host header.
  const bool inner = match->reach == conductor::Reach::Intranet && exchange.peer().isLoopback();
  if (trigger->http.internetDisabled && !inner) {
    return fail(ErrorKind::Denied, "access denied due to function internet URL is disable");
  }
  const auto& methods = trigger->http.methods;
  if (std::ranges::find(methods, head.method) == methods.end()) {
    return fail(ErrorKind::Denied, fmt::format("method {} is not allowed by trigger '{}'",
                                               head.method, trigger->name));
  }
  Route route;
  route.function = trigger->function;
  route.qualifier = trigger->qualifier;
  route.target = target.starts_with('/') ? std::string(target) : "/" + std::string(target);
  route.http = trigger->http;
  const std::string_view path = std::string_view(route.target).substr(0, route.target.find('?'));
  auto claims = authenticateCaller(trigger->http, ownersOf(route.function), head, path, verifier_,
                                   conductor::wallNow());
  if (!claims) return fail(claims.error());
  route.claims = std::move(*claims);
  return route;
}

MayCall Gateway::ownersOf(const FunctionRef& function) const {
  return [this, function](const auth::Caller& caller) -> Result<void> {
    if (caller.account != function.account) {
      return fail(ErrorKind::Denied, "the key belongs to another account", "AccessDenied");
    }
    return conductor::mayAct(conductor_.catalog().resources(), caller.account, caller.role,
                             conductor::kInvokeFunction, function.name);
  };
}

net::Task<void> Gateway::serve(net::Exchange& exchange, std::string requestId) {
  const ledger::Moment received = conductor::momentNow(conductor_.loop());
  const net::RequestHead& head = exchange.request();
  if (isInvocation(head)) {
    if (head.method != "POST") {
      const Error error{ErrorKind::Invalid,
                        fmt::format("'{}' against '{}' is not supported", head.path(), head.method),
                        "PathNotSupported"};
      co_await refuse(exchange, requestId, error);
      co_return;
    }
    co_await invoke(exchange, std::move(requestId), received);
    co_return;
  }
  const conductor::Domain* domain = domainOf(head);
  if (domain != nullptr && mustBeSecure(exchange, *domain)) {
    co_await sendToHttps(exchange, requestId, *domain);
    co_return;
  }
  if (auto preflight = preflightFor(exchange)) {
    preflight->headers.add("X-Fc-Request-Id", requestId);
    (void)co_await net::answer(exchange, std::move(*preflight), {});
    co_return;
  }
  const Result<void> fit = checkInvocationType(head);
  Result<Route> route = !fit                ? fail(fit.error())
                        : domain != nullptr ? routeDomain(exchange, *domain)
                                            : routeTrigger(exchange);
  if (!route) {
    co_await refuse(exchange, requestId, route.error());
    co_return;
  }
  if (isAsync(head)) {
    co_await acceptPassing(exchange, std::move(requestId), std::move(*route));
    co_return;
  }
  co_await passThrough(exchange, std::move(requestId), std::move(*route), received);
}

// Browsers send preflights without credentials: they are answered before anybody is asked who he
// is.
std::optional<net::ResponseHead> Gateway::preflightFor(const net::Exchange& exchange) const {
  if (const conductor::Domain* domain = domainOf(exchange.request())) {
    return answerPreflight(domain->config->http, exchange.request());
  }
  std::string_view target = exchange.request().target;
  const auto match = labelOf(exchange.request(), target);
  const Trigger* trigger =
      match ? conductor_.catalog().triggerByLabel(toLower(match->label)) : nullptr;
  if (trigger == nullptr) return std::nullopt;
  return answerPreflight(trigger->http, exchange.request());
}

std::string makeRequestId() {
  const std::uint64_t high = systemRandomBits();
  return fmt::format("1-{:08x}-{:08x}-{:012x}", high >> 32, high & 0xffffffffU,
                     systemRandomBits() & 0xffffffffffffU);
}

net::Task<void> refuse(net::Exchange& exchange, const std::string& requestId, const Error& error,
                       std::optional<Duration> retryAfter) {
  net::ResponseHead head;
  head.status = httpStatus(error);
  head.headers.add("Content-Type", "application/json");
  head.headers.add("X-Fc-Request-Id", requestId);
  if (retryAfter) {
    head.headers.add(
        "Retry-After",
        fmt::format("{}", std::chrono::ceil<std::chrono::seconds>(*retryAfter).count()));
  }
  // The connection's own failure ends the exchange; nobody is left to be told.
  (void)co_await net::answer(exchange, std::move(head), errorBody(requestId, error));
}

}  // namespace okibi::gateway
