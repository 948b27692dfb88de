// API invocation: verify → read the event → wait for an instance → POST /invoke → answer. The walk
// of docs/life_of_an_invocation.md.

#include <algorithm>

#include <fmt/format.h>

#include "base/crc64.h"
#include "base/encoding.h"
#include "base/log.h"
#include "conductor/clock.h"
#include "conductor/error_answer.h"
#include "gateway/attempt.h"
#include "gateway/container_contract.h"
#include "gateway/gateway.h"
#include "gateway/invocation_type.h"
#include "gateway/verdict.h"
#include "net/spool.h"

namespace okibi::gateway {
namespace {

struct Event {
  FunctionRef function;
  std::string qualifier;
  net::SpooledBody body;
};

Result<std::string> functionNameOf(std::string_view path) {
  constexpr std::string_view kPrefix = "/2023-03-30/functions/";
  constexpr std::string_view kSuffix = "/invocations";
  auto name =
      percentDecode(path.substr(kPrefix.size(), path.size() - kPrefix.size() - kSuffix.size()));
  if (name) return *name;
  return fail(ErrorKind::Invalid, "functionName: is not well percent-encoded", "InvalidArgument");
}

// The query's qualifier; empty: LATEST.
Result<std::string> qualifierOf(std::string_view query) {
  constexpr std::string_view kKey = "qualifier=";
  for (std::string_view pair : split(query, '&')) {
    if (!pair.starts_with(kKey)) continue;
    if (auto value = percentDecode(pair.substr(kKey.size()))) return *value;
    return fail(ErrorKind::Invalid, "qualifier: is not well percent-encoded", "InvalidArgument");
  }
  return std::string();
}

net::Task<Result<Event>> readEvent(net::Exchange& exchange, auth::Verifier& verifier,
                                   const GatewayOptions& options, conductor::Conductor& conductor) {
  const conductor::Settings& settings = conductor.settings();
  const net::RequestHead& head = exchange.request();
  auto name = functionNameOf(head.path());
  if (!name) co_return fail(name.error());
  if (auto ok = checkInvocationType(head); !ok) co_return fail(ok.error());
  auto qualifier = qualifierOf(head.query());
  if (!qualifier) co_return fail(qualifier.error());
  auth::Caller caller{settings.account, "", ""};
  if (options.auth == ApiAuth::Signature) {
    auto verified = verifier.verifyApi(auth::signedPart(head), conductor::wallNow());
    if (!verified) co_return fail(verified.error());
    caller = std::move(*verified);
    auto may = conductor::mayAct(conductor.catalog().resources(), caller.account, caller.role,
                                 conductor::kInvokeFunction, *name);
    if (!may) co_return fail(std::move(may.error()));
  }
  auto body = co_await net::readBody(
      exchange, isAsync(head) ? limits::kAsyncBody : limits::kSyncBody, settings.spoolDirectory);
  if (!body) co_return fail(body.error());
  if (options.auth == ApiAuth::Signature) {
    auth::Sha256 hash;
    net::SpooledBody::Reader reader(*body);
    for (;;) {
      auto piece = reader.next();
      if (!piece) co_return fail(piece.error());
      if (piece->empty()) break;
      hash.update(*piece);
    }
    if (auto ok = auth::Verifier::checkBody(caller, hash.finishHex()); !ok)
      co_return fail(ok.error());
  }
  co_return Event{{caller.account, std::move(*name)}, std::move(*qualifier), std::move(*body)};
}

void addInvocationHeaders(net::Headers& headers, const conductor::Invocation& invocation,
                          Duration duration) {
  headers.add("X-Fc-Request-Id", invocation.requestId);
  addServerTiming(headers, invocation, duration);
  headers.add("X-Fc-Instance-Id", invocation.instance->name);
  headers.add("X-Fc-Invocation-Duration", fmt::format("{:.2f}", toMilliseconds(duration)));
  headers.add("X-Fc-Invocation-Function-Version", invocation.revision->version);
  headers.add("X-Fc-Invocation-Service-Version", invocation.revision->version);
  // Function Compute has the CRC-64 of the code package there; a container's code is its image.
  headers.add("X-Fc-Code-Checksum", std::to_string(crc64(invocation.revision->image.digest)));
}

net::Task<void> sendBody(net::Exchange& exchange, net::ResponseHead head,
                         const net::SpooledBody& body) {
  head.contentLength = static_cast<std::uint64_t>(body.size().count());
  exchange.respond(std::move(head));
  net::SpooledBody::Reader reader(body);
  for (;;) {
    auto piece = reader.next();
    if (!piece) {
      exchange.abort();
      co_return;
    }
    if (piece->empty()) break;
    if (auto written = co_await exchange.write(*piece); !written) co_return;
  }
  // The connection's own failure ends the exchange; nobody is left to be told.
  (void)co_await exchange.finish();
}

}  // namespace

net::Task<void> Gateway::invoke(net::Exchange& exchange, std::string requestId,
                                ledger::Moment received) {
  Result<Event> event = co_await readEvent(exchange, verifier_, options_, conductor_);
  if (!event) {
    co_await refuse(exchange, requestId, event.error());
    co_return;
  }
  if (isAsync(exchange.request())) {
    auto text = event->body.text();
    if (text) {
      co_await accept(exchange, {.function = event->function,
                                 .qualifier = event->qualifier,
                                 .requestId = requestId,
                                 .taskId = {},
                                 .payload = std::move(*text)});
    }
    if (!text) co_await refuse(exchange, requestId, text.error());
    co_return;
  }
  auto arrived = conductor_.arrive(event->function, event->qualifier, requestId, received,
                                   queueDeadline(exchange.request()));
  if (!arrived) {
    co_await refuse(exchange, requestId, arrived.error());
    co_return;
  }
  Attempt attempt(conductor_, std::move(*arrived));
  exchange.onDisconnect([&] { attempt.callerLeft(); });
  const Result<net::WholeAnswer> answer = co_await attempt.call(event->body);
  if (attempt.callerIsGone()) co_return;
  const conductor::Invocation& invocation = attempt.invocation();
  Verdict verdict = judge(answer, invocation);
  verdict.ending.bytesIn = event->body.size();
  Result<void> outcome = co_await attempt.settle(verdict.ending);
  if (outcome && !answer && !isFunctionError(answer.error())) outcome = fail(answer.error());
  if (!outcome) {
    co_await refuse(exchange, requestId, outcome.error(), attempt.invocation().retryAfter);
    co_return;
  }
  if (invocation.instance) {
    addInvocationHeaders(verdict.head.headers, invocation,
                         conductor_.loop().now() - invocation.dispatched.at);
    const auto logType = exchange.request().headers.getOr("x-fc-log-type", "None");
    if (equalsIgnoreCase(logType, "Tail") && invocation.revision->spec.concurrency == 1) {
      verdict.head.headers.add("X-Fc-Log-Result", toBase64(attempt.logTail()));
    }
  } else {
    verdict.head.headers.add("X-Fc-Request-Id", requestId);
  }
  attempt.finish();
  if (answer) {
    co_await sendBody(exchange, std::move(verdict.head), answer->body);
  } else {
    (void)co_await net::answer(exchange, std::move(verdict.head), verdict.text);
  }
}

}  // namespace okibi::gateway
