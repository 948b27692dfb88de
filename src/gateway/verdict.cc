#include "gateway/verdict.h"

#include <fmt/format.h>

#include "conductor/error_answer.h"

namespace okibi::gateway {
namespace {

std::string functionErrorBody(const Error& error) {
  return fmt::format(R"({{"errorMessage":{},"errorType":{},"stackTrace":[]}})",
                     jsonQuote(error.message), jsonQuote(wireCode(error)));
}

}  // namespace

bool isFunctionError(const Error& error) {
  return error.code == "InitializationError" || error.code == "FunctionUnhandledError" ||
         error.code == "FunctionOOMError" || error.code == "FunctionTimeoutError";
}

Verdict judge(const Result<net::WholeAnswer>& answer, const conductor::Invocation& invocation) {
  Verdict verdict;
  conductor::Ending& ending = verdict.ending;
  verdict.head.headers.add("Content-Type", "application/octet-stream");
  if (answer) {
    ending.bytesOut = answer->body.size();
    if (answer->head.headers.getOr("x-fc-status", "200") == "200") return verdict;
    verdict.head.headers.add("X-Fc-Error-Type", "InvocationError");
    ending.outcome = ledger::Outcome::FunctionError;
    ending.errorType = "InvocationError";
    return verdict;
  }
  const Error& error = answer.error();
  ending.errorType = wireCode(error);
  if (!isFunctionError(error)) {
    ending.status = httpStatus(error);
    ending.outcome = invocation.instance ? ledger::Outcome::SystemError : ledger::Outcome::Refused;
    return verdict;
  }
  const bool init = error.code == "InitializationError";
  verdict.head.headers.add("X-Fc-Error-Type", init ? error.code : "UnhandledInvocationError");
  verdict.text = functionErrorBody(error);
  ending.outcome = ledger::Outcome::FunctionError;
  ending.bytesOut = Bytes(static_cast<std::int64_t>(verdict.text.size()));
  return verdict;
}

}  // namespace okibi::gateway
