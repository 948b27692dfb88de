// API invocation: verify → read the event → wait for an instance → POST /invoke → answer. The walk
// of docs/life_of_an_invocation.md.

#include <algorithm>

#include <fmt/format.h>

#include "base/encoding.h"
#include "base/log.h"
#include "conductor/clock.h"
#include "conductor/error_answer.h"
#include "gateway/attempt.h"
#include "gateway/container_contract.h"
#include "gateway/gateway.h"
#include "net/spool.h"

namespace okibi::gateway {
namespace {

// Function errors are answers with status 200 whose header says what went wrong (fact sheet 3.4).
bool isFunctionError(const Error& error) {
  return error.code == "InitializationError" || error.code == "FunctionUnhandledError" ||
         error.code == "FunctionOOMError" || error.code == "FunctionTimeoutError";
}

struct Event {
  FunctionRef function;
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

Result<void> checkInvocation(const net::RequestHead& head) {
  const std::string_view type = head.headers.getOr("x-fc-invocation-type", "Sync");
  if (type != "Sync") {
    return fail(ErrorKind::Invalid,
                fmt::format("x-fc-invocation-type: '{}' is not offered; use Sync", type),
                "InvalidArgument");
  }
  for (std::string_view pair : split(head.query(), '&')) {
    if (!pair.starts_with("qualifier=") || pair == "qualifier=LATEST" || pair == "qualifier=")
      continue;
    return fail(ErrorKind::NotFound, fmt::format("{}: no such version or alias", pair),
                "VersionNotFound");
  }
  return {};
}

net::Task<Result<Event>> readEvent(net::Exchange& exchange, auth::Verifier& verifier,
                                   const GatewayOptions& options, const std::string& localAccount) {
  const net::RequestHead& head = exchange.request();
  auto name = functionNameOf(head.path());
  if (!name) co_return fail(name.error());
  if (auto ok = checkInvocation(head); !ok) co_return fail(ok.error());
  auth::Caller caller{localAccount, "", ""};
  if (options.auth == ApiAuth::Signature) {
    auth::RequestHead signedHead{
        head.method, std::string(head.path()), std::string(head.query()), {}};
    for (const auto field : head.headers) signedHead.headers.emplace_back(field.name, field.value);
    auto verified = verifier.verifyApi(signedHead, conductor::wallNow());
    if (!verified) co_return fail(verified.error());
    caller = std::move(*verified);
  }
  auto body = co_await net::readBody(exchange, limits::kSyncBody, options.spoolDirectory);
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
  co_return Event{{caller.account, std::move(*name)}, std::move(*body)};
}

void addInvocationHeaders(net::Headers& headers, const conductor::Invocation& invocation,
                          Duration duration) {
  headers.add("X-Fc-Request-Id", invocation.requestId);
  headers.add("X-Fc-Instance-Id", invocation.instance->name);
  headers.add("X-Fc-Invocation-Duration", fmt::format("{:.2f}", toMilliseconds(duration)));
  headers.add("X-Fc-Invocation-Function-Version", "LATEST");
}

std::string functionErrorBody(const Error& error) {
  return fmt::format(R"({{"errorMessage":{},"errorType":{},"stackTrace":[]}})",
                     jsonQuote(error.message), jsonQuote(wireCode(error)));
}

}  // namespace

net::Task<void> Gateway::invoke(net::Exchange& exchange, std::string requestId,
                                ledger::Moment received) {
  Result<Event> event =
      co_await readEvent(exchange, verifier_, options_, conductor_.settings().account);
  if (!event) {
    co_await refuse(exchange, requestId, event.error());
    co_return;
  }
  auto arrived = conductor_.arrive(event->function, requestId, received);
  if (!arrived) {
    co_await refuse(exchange, requestId, arrived.error());
    co_return;
  }
  Attempt attempt(conductor_, std::move(*arrived));
  exchange.onDisconnect([&] { attempt.callerLeft(); });
  Result<net::WholeAnswer> answer = co_await attempt.call(event->body);
  if (attempt.callerIsGone()) co_return;
  const conductor::Invocation& invocation = attempt.invocation();
  net::ResponseHead head;
  std::string text;
  conductor::Ending ending;
  ending.bytesIn = event->body.size();
  if (answer) {
    ending.bytesOut = answer->body.size();
    const std::string_view status = answer->head.headers.getOr("x-fc-status", "200");
    if (status != "200") {
      head.headers.add("X-Fc-Error-Type", "InvocationError");
      ending.outcome = ledger::Outcome::FunctionError;
      ending.errorType = "InvocationError";
    }
  } else if (isFunctionError(answer.error())) {
    const bool init = answer.error().code == "InitializationError";
    ending.errorType = init ? "InitializationError" : wireCode(answer.error());
    ending.outcome = ledger::Outcome::FunctionError;
    head.headers.add("X-Fc-Error-Type", init ? "InitializationError" : "UnhandledInvocationError");
    text = functionErrorBody(answer.error());
    ending.bytesOut = Bytes(static_cast<std::int64_t>(text.size()));
  } else {
    ending.status = httpStatus(answer.error());
    ending.errorType = wireCode(answer.error());
    ending.outcome = invocation.instance ? ledger::Outcome::SystemError : ledger::Outcome::Refused;
  }
  if (auto settled = attempt.settle(ending); !settled) {
    co_await refuse(exchange, requestId, settled.error());
    co_return;
  }
  if (!answer && !isFunctionError(answer.error())) {
    co_await refuse(exchange, requestId, answer.error());
    co_return;
  }
  head.headers.add("Content-Type", "application/octet-stream");
  if (invocation.instance) {
    addInvocationHeaders(head.headers, invocation,
                         conductor_.loop().now() - invocation.dispatched.at);
    const bool tail =
        equalsIgnoreCase(exchange.request().headers.getOr("x-fc-log-type", "None"), "Tail");
    if (tail && invocation.revision->spec.concurrency == 1) {
      head.headers.add("X-Fc-Log-Result", toBase64(attempt.logTail()));
    }
  } else {
    head.headers.add("X-Fc-Request-Id", requestId);
  }
  attempt.finish();
  if (!answer) {
    (void)co_await net::answer(exchange, std::move(head), text);
    co_return;
  }
  head.contentLength = static_cast<std::uint64_t>(answer->body.size().count());
  exchange.respond(std::move(head));
  net::SpooledBody::Reader reader(answer->body);
  for (;;) {
    auto piece = reader.next();
    if (!piece) {
      exchange.abort();
      co_return;
    }
    if (piece->empty()) break;
    if (auto written = co_await exchange.write(*piece); !written) co_return;
  }
  (void)co_await exchange.finish();
}

}  // namespace okibi::gateway
