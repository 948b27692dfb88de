// HTTP trigger: the request passes to the container and its answer back, streamed both ways.

#include <utility>

#include <fmt/format.h>

#include "conductor/error_answer.h"
#include "gateway/attempt.h"
#include "gateway/container_contract.h"
#include "gateway/cors.h"
#include "gateway/gateway.h"
#include "gateway/invocation_type.h"
#include "net/spool.h"

namespace okibi::gateway {
namespace {

// What the caller sees when the function fails under an HTTP trigger: 502 (Function Compute: custom
// containers, HTTP triggers).
Error asBadGateway(Error error) {
  if (error.code == "FunctionUnhandledError" || error.code == "FunctionOOMError" ||
      error.code == "FunctionTimeoutError" || error.code == "InitializationError") {
    error.message = error.code + ": " + error.message;
    error.code = "BadResponse";
  }
  return error;
}

// `word`: the container's x-fc-status, which says how it went when it is there (Function Compute:
// custom containers).
conductor::Ending endingOf(const net::RelayReport& report, std::string_view word) {
  conductor::Ending ending;
  ending.status = report.status;
  ending.bytesIn = Bytes(static_cast<std::int64_t>(report.bytesIn));
  ending.bytesOut = Bytes(static_cast<std::int64_t>(report.bytesOut));
  if (word.empty() ? report.status >= 500 : word != "200") {
    ending.outcome = ledger::Outcome::FunctionError;
    ending.errorType = "InvocationError";
  }
  return ending;
}

net::Task<Error> explain(const net::RelayReport& report, Attempt& attempt) {
  switch (report.outcome) {
    case net::RelayOutcome::TimedOut:
      attempt.went(planner::Outcome::TimedOut);
      co_return attempt.timeoutError();
    case net::RelayOutcome::RequestTooLarge:
      attempt.went(planner::Outcome::TimedOut);  // the application may still be at it
      co_return report.error;
    case net::RelayOutcome::UpstreamBad:
      co_return Error{ErrorKind::Unavailable,
                      "the function's answer is not valid: " + report.error.message, "BadResponse"};
    case net::RelayOutcome::UpstreamFailed:
    case net::RelayOutcome::UpstreamBroken:
      co_return co_await attempt.explainBreak(report.error);
    default:
      co_return report.error;
  }
}

// A body that says it is too long is refused before anything is waited for.
Result<void> checkLength(const net::RequestHead& head) {
  if (std::cmp_less_equal(head.contentLength.value_or(0), limits::kSyncBody.count())) return {};
  return fail(ErrorKind::Invalid,
              fmt::format("the body of {} bytes is over the limit of {}", *head.contentLength,
                          limits::kSyncBody.count()),
              std::string(net::kBodyTooLarge));
}

// RFC 9110, 9.2.2. With nothing read of a body, such a request may be sent again.
bool mayBeSentAgain(const net::RelayReport& report, const net::RequestHead& head) {
  return report.outcome == net::RelayOutcome::UpstreamFailed && !report.requestBodyRead &&
         !report.headSent && head.method != "POST" && head.method != "PATCH";
}

}  // namespace

// How one request passes: the relay's options, and what is remembered of the answer.
struct Gateway::Passing {
  Attempt& attempt;
  const conductor::Conductor& conductor;
  const std::string& requestId;
  Route& route;
  std::string origin;
  std::string word;  // the container's x-fc-status

  void filterRequest(net::RequestHead& head) const {
    const conductor::Invocation& invocation = attempt.invocation();
    dropForgedHeaders(head.headers);
    std::string target = route.target;
    passOn(route.claims, head, target);
    head.target = std::move(target);
    conductor.addContainerHeaders(head.headers, *invocation.revision,
                                  {requestId, invocation.qualifier, "/http-invoke"});
  }
  void filterResponse(net::ResponseHead& head, Instant now) {
    word = head.headers.getOr("x-fc-status", "");
    dropReservedHeaders(head.headers);
    addCorsHeaders(route.http, origin, head);
    head.headers.add("X-Fc-Request-Id", requestId);
    const conductor::Invocation& invocation = attempt.invocation();
    addServerTiming(head.headers, invocation, now - invocation.dispatched.at);
  }
  net::RelayOptions options(net::Loop& loop) {
    net::RelayOptions options;
    options.deadline = attempt.deadline();
    options.requestLimit = limits::kSyncBody;
    options.filterRequest = [this](net::RequestHead& head) { filterRequest(head); };
    options.filterResponse = [this, &loop](net::ResponseHead& head) {
      filterResponse(head, loop.now());
    };
    options.beforeLastByte = [this](const net::RelayReport& soFar) -> net::Task<Result<void>> {
      attempt.went(planner::Outcome::Completed);
      co_return co_await attempt.settle(endingOf(soFar, word));
    };
    return options;
  }
};

net::Task<void> Gateway::passThrough(net::Exchange& exchange, std::string requestId, Route route,
                                     ledger::Moment received) {
  Result<void> fits = checkLength(exchange.request());
  auto arrived = fits ? conductor_.arrive(route.function, route.qualifier, requestId, received,
                                          queueDeadline(exchange.request()))
                      : fail(std::move(fits.error()));
  if (!arrived) {
    co_await refuse(exchange, requestId, arrived.error());
    co_return;
  }
  Attempt attempt(conductor_, std::move(*arrived));
  exchange.onDisconnect([&] { attempt.callerLeft(); });
  Passing passing{attempt,
                  conductor_,
                  requestId,
                  route,
                  std::string(exchange.request().headers.getOr("origin", "")),
                  {}};
  auto connection = co_await attempt.reach();
  if (attempt.callerIsGone()) co_return;
  net::RelayReport report;
  if (connection) {
    const net::RelayOptions options = passing.options(conductor_.loop());
    report = co_await net::relay(conductor_.loop(), exchange, **connection, options);
    if (mayBeSentAgain(report, exchange.request())) {
      exchange.onDisconnect([&] { attempt.callerLeft(); });
      connection = co_await attempt.reconnect();
      if (attempt.callerIsGone()) co_return;
      if (connection) {
        report = co_await net::relay(conductor_.loop(), exchange, **connection, options);
      }
    }
    if (report.outcome == net::RelayOutcome::Complete) co_return;
    if (report.outcome == net::RelayOutcome::CallerGone) co_return attempt.callerLeft();
  }
  Error failure = connection ? co_await explain(report, attempt) : std::move(connection.error());
  failure = asBadGateway(std::move(failure));
  if (!attempt.settled()) {
    conductor::Ending ending = endingOf(report, passing.word);
    ending.status = httpStatus(failure);
    ending.errorType = wireCode(failure);
    ending.outcome =
        attempt.invocation().instance ? ledger::Outcome::FunctionError : ledger::Outcome::Refused;
    if (auto settled = co_await attempt.settle(ending); !settled) failure = settled.error();
  }
  if (!report.headSent && !attempt.callerIsGone()) {
    co_await refuse(exchange, requestId, failure, attempt.invocation().retryAfter);
  }
}

}  // namespace okibi::gateway
