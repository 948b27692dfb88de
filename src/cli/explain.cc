// `okibi explain`: why one call went as it did.

#include <fmt/format.h>

#include "base/encoding.h"
#include "cli/commands.h"
#include "cli/record_text.h"

namespace okibi::cli {

namespace {

void printExplanation(const Json& record) {
  printLine("request id   " + printable(text(record, "requestId")));
  printLine("function     " + printable(text(record, "functionName")));
  printLine("received     " + text(record, "startedTime"));
  const std::string error = printable(text(record, "errorType"));
  printLine(fmt::format("answer       status {}{}", text(record, "status"),
                        error.empty() ? "" : ", " + error));
  if (const std::string instance = text(record, "instanceId"); !instance.empty()) {
    printLine("instance     " + printable(instance));
  }
  if (const std::string type = printable(text(record, "gpuType")); !type.empty()) {
    printLine(fmt::format("slice        {} MB of {}", text(record, "sliceMB"), type));
  }
  for (const std::string& line : recordLines(record)) printLine(line);
}

}  // namespace

Outcome<void> explain(Context& context, const std::string& requestId) {
  Outcome<Json> answer = context.client.get(std::string(kOwnApi) + "/invocations",
                                            "ListOkibiInvocations", {{"requestId", requestId}});
  if (!answer) return std::unexpected(answer.error());
  const boost::json::array& found = items(*answer, "invocations");
  if (found.empty()) {
    return std::unexpected(Failure{
        .exit = Exit::Failed,
        .code = "NotFound",
        .message = fmt::format("request '{}' is not among the calls that are kept", requestId),
        .requestId = {},
        .remedy =
            "the newest 1,000 calls of each function are kept, and its newest 1,000 cold ones"});
  }
  if (context.asJson()) {
    printJson(found.front());
  } else {
    printExplanation(found.front());
  }
  return {};
}

}  // namespace okibi::cli
