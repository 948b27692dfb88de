#include "gateway/attempt.h"

#include <fmt/format.h>

#include "base/log.h"
#include "gateway/container_contract.h"

namespace okibi::gateway {
namespace {

// A broken connection and the news of the crash behind it arrive in either order.
constexpr Duration kNewsOfCrash = std::chrono::milliseconds(500);

}  // namespace

Attempt::~Attempt() {
  if (settled_ == Settled::No && caller_ == Caller::There) {
    // Nothing more can be said to the caller if it fails; what is not written is kept for later.
    (void)conductor_.settle(*invocation_, {.outcome = ledger::Outcome::SystemError,
                                           .status = 500,
                                           .errorType = "InternalServerError",
                                           .bytesIn = {},
                                           .bytesOut = {}});
  }
  finish();
}

net::Task<Result<net::HttpConnection*>> Attempt::reach() {
  Result<void> admitted = co_await conductor_.admitted(invocation_);
  if (!admitted) co_return fail(std::move(admitted.error()));
  co_return co_await reconnect();
}

net::Task<Result<net::HttpConnection*>> Attempt::reconnect() {
  auto connection = co_await conductor_.connect(invocation_);
  if (!connection) co_return fail(co_await explainBreak(std::move(connection.error())));
  connection_ = std::move(*connection);
  if (caller_ == Caller::Gone) co_return fail(ErrorKind::Cancelled, "the caller left");
  co_return connection_.get();
}

net::Task<Result<net::WholeAnswer>> Attempt::call(const net::SpooledBody& body) {
  net::RequestHead head;
  head.method = "POST";
  head.target = "/invoke";
  head.headers.add("Host", "127.0.0.1");
  head.headers.add("Content-Type", "application/octet-stream");
  return send(std::move(head), body, "/invoke");
}

net::Task<Result<net::WholeAnswer>> Attempt::pass(net::RequestHead head,
                                                  const net::SpooledBody& body) {
  return send(std::move(head), body, "/http-invoke");
}

net::Task<Result<net::WholeAnswer>> Attempt::send(net::RequestHead head,
                                                  const net::SpooledBody& body,
                                                  std::string_view controlPath) {
  auto connection = co_await reach();
  if (!connection) co_return fail(std::move(connection.error()));
  const conductor::Settings& settings = conductor_.settings();
  conductor_.addContainerHeaders(head.headers, *invocation_->revision,
                                 {invocation_->requestId, invocation_->qualifier, controlPath});
  auto answer = co_await net::call(conductor_.loop(), **connection, std::move(head), body,
                                   limits::kSyncBody, deadline(), settings.spoolDirectory);
  if (answer) {
    went(planner::Outcome::Completed);
    co_return answer;
  }
  if (answer.error().kind == ErrorKind::TimedOut) {
    went(planner::Outcome::TimedOut);
    co_return fail(timeoutError());
  }
  if (answer.error().code == net::kBodyTooLarge) {
    // It was answering; this is no sign of a broken instance.
    went(planner::Outcome::Completed);
    co_return fail(ErrorKind::Unavailable, "the answer: " + answer.error().message,
                   "FunctionUnhandledError");
  }
  co_return fail(co_await explainBreak(std::move(answer.error())));
}

net::Task<Error> Attempt::explainBreak(Error error) {
  if (caller_ == Caller::Gone) co_return Error{ErrorKind::Cancelled, "the caller left", ""};
  if (error.kind == ErrorKind::Internal) co_return error;  // ours: the spool's disk
  auto lost = co_await invocation_->lost.wait(conductor_.loop().now() + kNewsOfCrash);
  if (lost) co_return std::move(*lost);
  if (error.code.empty()) error.code = "FunctionUnhandledError";
  error.kind = ErrorKind::Unavailable;
  error.message = "the instance broke the connection: " + error.message;
  co_return error;
}

Instant Attempt::deadline() const {
  return invocation_->dispatched.at + invocation_->revision->spec.timeout;
}

Error Attempt::timeoutError() const {
  return {ErrorKind::TimedOut,
          fmt::format("Function timed out after {} seconds",
                      invocation_->revision->spec.timeout.count()),
          "FunctionTimeoutError"};
}

void Attempt::callerLeft() {
  if (caller_ == Caller::Gone || settled_ == Settled::Yes) return;
  caller_ = Caller::Gone;
  settled_ = Settled::Yes;
  if (connection_) connection_->cancel();
  conductor_.callerLeft(*invocation_);
}

net::Task<Result<void>> Attempt::settle(conductor::Ending ending) {
  settled_ = Settled::Yes;
  Result<void> settled = conductor_.settle(*invocation_, ending);
  if (settled) settled = co_await conductor_.recorded();
  if (settled) co_return settled;
  // A full disk of the platform is no quota of the caller's.
  co_return fail(ErrorKind::Internal,
                 "the call could not be put on the ledger: " + settled.error().message);
}

void Attempt::finish() {
  if (connection_) conductor_.giveBack(*invocation_, std::move(connection_));
  conductor_.end(*invocation_, outcome_);
}

std::string Attempt::logTail() const {
  return conductor_.outputOf(*invocation_);
}

}  // namespace okibi::gateway
