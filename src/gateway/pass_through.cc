// HTTP trigger: the request passes to the container and its answer back, streamed both ways.

#include <fmt/format.h>

#include "conductor/error_answer.h"
#include "gateway/attempt.h"
#include "gateway/container_contract.h"
#include "gateway/gateway.h"

namespace okibi::gateway {
namespace {

// What the caller sees when the function fails under an HTTP trigger: 502 (fact sheet 3.4, 3.7).
Error asBadGateway(Error error) {
  if (error.code == "FunctionUnhandledError" || error.code == "FunctionOOMError" ||
      error.code == "FunctionTimeoutError" || error.code == "InitializationError") {
    error.message = error.code + ": " + error.message;
    error.code = "BadResponse";
  }
  return error;
}

conductor::Ending endingOf(const net::RelayReport& report) {
  conductor::Ending ending;
  ending.status = report.status;
  ending.bytesIn = Bytes(static_cast<std::int64_t>(report.bytesIn));
  ending.bytesOut = Bytes(static_cast<std::int64_t>(report.bytesOut));
  if (report.status >= 500) {
    ending.outcome = ledger::Outcome::FunctionError;
    ending.errorType = "InvocationError";
  }
  return ending;
}

Error failureOf(const net::RelayReport& report, const Attempt& attempt) {
  switch (report.outcome) {
    case net::RelayOutcome::TimedOut:
      return attempt.timeoutError();
    case net::RelayOutcome::UpstreamBad:
      return {ErrorKind::Unavailable, "the function's answer is not valid: " + report.error.message,
              "BadResponse"};
    default:
      return report.error;
  }
}

}  // namespace

net::Task<void> Gateway::passThrough(net::Exchange& exchange, std::string requestId, Route route,
                                     ledger::Moment received) {
  auto arrived = conductor_.arrive(route.function, route.qualifier, requestId, received);
  if (!arrived) {
    co_await refuse(exchange, requestId, arrived.error());
    co_return;
  }
  Attempt attempt(conductor_, std::move(*arrived));
  exchange.onDisconnect([&] { attempt.callerLeft(); });
  auto connection = co_await attempt.reach();
  if (attempt.callerIsGone()) co_return;
  net::RelayReport report;
  Error failure;
  if (connection) {
    const conductor::Revision& revision = *attempt.invocation().revision;
    net::RelayOptions options;
    options.deadline = attempt.deadline();
    options.filterRequest = [&](net::RequestHead& head) {
      dropForgedHeaders(head.headers);
      head.target = route.target;
      addContainerHeaders(head.headers, revision,
                          {revision.ref.account, conductor_.settings().region, requestId,
                           attempt.invocation().qualifier, "/http-invoke"});
    };
    options.filterResponse = [&](net::ResponseHead& head) {
      dropReservedHeaders(head.headers);
      head.headers.add("X-Fc-Request-Id", requestId);
    };
    options.beforeLastByte = [&](const net::RelayReport& soFar) -> net::Task<Result<void>> {
      attempt.went(planner::Outcome::Completed);
      co_return co_await attempt.settle(endingOf(soFar));
    };
    report = co_await net::relay(conductor_.loop(), exchange, **connection, options);
    if (report.outcome == net::RelayOutcome::Complete) co_return;
    if (report.outcome == net::RelayOutcome::CallerGone) {
      attempt.callerLeft();
      co_return;
    }
    if (report.outcome == net::RelayOutcome::TimedOut) attempt.went(planner::Outcome::TimedOut);
    failure = failureOf(report, attempt);
    if (report.outcome == net::RelayOutcome::UpstreamFailed ||
        report.outcome == net::RelayOutcome::UpstreamBroken) {
      failure = co_await attempt.explainBreak(std::move(failure));
    }
  } else {
    failure = std::move(connection.error());
  }
  failure = asBadGateway(std::move(failure));
  if (!attempt.settled()) {
    conductor::Ending ending = endingOf(report);
    ending.status = httpStatus(failure);
    ending.errorType = wireCode(failure);
    ending.outcome =
        attempt.invocation().instance ? ledger::Outcome::FunctionError : ledger::Outcome::Refused;
    if (auto settled = co_await attempt.settle(ending); !settled) failure = settled.error();
  }
  if (!report.headSent && !attempt.callerIsGone()) co_await refuse(exchange, requestId, failure);
}

}  // namespace okibi::gateway
