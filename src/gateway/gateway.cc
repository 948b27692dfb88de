#include "gateway/gateway.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/encoding.h"
#include "base/random.h"
#include "conductor/clock.h"
#include "conductor/error_answer.h"

namespace okibi::gateway {
namespace {

constexpr std::string_view kApiPrefix = "/2023-03-30/functions/";
constexpr std::string_view kInvocations = "/invocations";
constexpr std::string_view kTriggerPrefix = "/trigger/";

bool isApiInvocation(std::string_view path) {
  return path.starts_with(kApiPrefix) && path.ends_with(kInvocations) &&
         path.size() > kApiPrefix.size() + kInvocations.size();
}

std::string_view hostLabel(const net::RequestHead& head) {
  const std::string_view host = head.headers.getOr("host", "");
  return host.substr(0, host.find('.'));
}

auth::RequestHead signedHead(const net::RequestHead& head) {
  auth::RequestHead out{head.method, std::string(head.path()), std::string(head.query()), {}};
  for (const auto field : head.headers) out.headers.emplace_back(field.name, field.value);
  return out;
}

}  // namespace

// A trigger's own host comes first: below it every path is the function's.
bool Gateway::isInvocation(const net::RequestHead& head) const {
  return isApiInvocation(head.path()) &&
         conductor_.catalog().triggerById(hostLabel(head)) == nullptr;
}

bool Gateway::owns(const net::RequestHead& head) const {
  return isApiInvocation(head.path()) || head.path().starts_with(kTriggerPrefix) ||
         conductor_.catalog().triggerById(hostLabel(head)) != nullptr;
}

Result<Gateway::Route> Gateway::routeTrigger(const net::RequestHead& head) const {
  Route route;
  std::string_view target = head.target;
  route.trigger = conductor_.catalog().triggerById(hostLabel(head));
  if (route.trigger == nullptr && target.starts_with(kTriggerPrefix)) {
    target.remove_prefix(kTriggerPrefix.size());
    const std::size_t end = std::min(target.find_first_of("/?"), target.size());
    route.trigger = conductor_.catalog().triggerById(target.substr(0, end));
    target.remove_prefix(end);
  }
  if (route.trigger == nullptr) {
    return fail(ErrorKind::NotFound, "no HTTP trigger has this address", "TriggerNotFound");
  }
  route.function = route.trigger->function;
  route.qualifier = route.trigger->qualifier;
  route.target = target.starts_with('/') ? std::string(target) : "/" + std::string(target);
  const auto& methods = route.trigger->http.methods;
  if (std::ranges::find(methods, head.method) == methods.end()) {
    return fail(ErrorKind::Denied, fmt::format("method {} is not allowed by trigger '{}'",
                                               head.method, route.trigger->name));
  }
  if (route.trigger->http.internetDisabled) {
    return fail(ErrorKind::Denied, "access denied due to function internet URL is disable");
  }
  return route;
}

Result<void> Gateway::authenticate(const net::RequestHead& head, const Route& route) {
  if (route.trigger->http.auth == HttpAuth::Anonymous) return {};
  auto caller = verifier_.verifyTrigger(signedHead(head), conductor::wallNow());
  if (!caller) return fail(caller.error());
  if (caller->account == route.function.account) return {};
  return fail(ErrorKind::Denied, "the key belongs to another account", "AccessDenied");
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
  Result<Route> route = routeTrigger(head);
  Result<void> allowed = route ? authenticate(head, *route) : fail(route.error());
  if (!allowed) {
    co_await refuse(exchange, requestId, allowed.error());
    co_return;
  }
  co_await passThrough(exchange, std::move(requestId), std::move(*route), received);
}

std::string makeRequestId() {
  const std::uint64_t high = systemRandomBits();
  return fmt::format("1-{:08x}-{:08x}-{:012x}", high >> 32, high & 0xffffffffU,
                     systemRandomBits() & 0xffffffffffffU);
}

net::Task<void> refuse(net::Exchange& exchange, const std::string& requestId, const Error& error) {
  net::ResponseHead head;
  head.status = httpStatus(error);
  head.headers.add("Content-Type", "application/json");
  head.headers.add("X-Fc-Request-Id", requestId);
  // The connection's own failure ends the exchange; nobody is left to be told.
  (void)co_await net::answer(exchange, std::move(head), errorBody(requestId, error));
}

}  // namespace okibi::gateway
