#include <cmath>
#include <cstdio>
#include <optional>

#include <fmt/format.h>
#include <unistd.h>

#include "base/encoding.h"
#include "base/limits.h"
#include "cli/commands.h"
#include "cli/files.h"
#include "cli/record_text.h"

namespace okibi::cli {

namespace {

constexpr Bytes kBodyLimit = Bytes::mib(32);
// A function may run for a day; the daemon's own limits end a call earlier.
constexpr Duration kPatience = 25h;

Result<std::string> readBody(const InvokeOptions& options) {
  if (!options.file.empty()) return readFile(options.file, kBodyLimit);
  if (options.hasData) {
    if (options.data.starts_with('@')) return readFile(options.data.substr(1), kBodyLimit);
    return options.data;
  }
  if (inputIsPiped()) return readFile("-", kBodyLimit);
  return std::string();
}

Json findRecord(Context& context, const std::string& name, const std::string& requestId) {
  if (requestId.empty()) return Json();
  Outcome<Json> answer =
      context.client.get(std::string(kOwnApi) + "/invocations", "ListOkibiInvocations",
                         {{"functionName", name}, {"requestId", requestId}});
  if (!answer) return Json();
  const boost::json::array& found = items(*answer, "invocations");
  return found.empty() ? Json() : found.front();
}

void describeAnswer(const ApiAnswer& answer, const Json& record) {
  note("request id   " + answer.header("x-fc-request-id"));
  note("instance     " + answer.header("x-fc-instance-id"));
  if (!record.is_null()) {
    for (const std::string& line : recordLines(record)) note(line);
  } else if (std::string timing = answer.header("server-timing"); !timing.empty()) {
    note("timing       " + timing);
  }
  std::optional<std::string> log = fromBase64(answer.header("x-fc-log-result"));
  if (log && !log->empty()) note("log tail\n" + *log);
}

Outcome<void> deliver(Context& context, const ApiAnswer& answer, const InvokeOptions& options,
                      const Json& record) {
  if (!options.output.empty()) {
    Result<void> done = writeFile(options.output, answer.body);
    if (!done) return std::unexpected(localFailure(done.error()));
  }
  if (context.asJson()) {
    JsonObject out{{"requestId", answer.header("x-fc-request-id")},
                   {"instanceId", answer.header("x-fc-instance-id")},
                   {"errorType", answer.header("x-fc-error-type")},
                   {"bodyBase64", toBase64(answer.body)}};
    if (!record.is_null()) out["invocation"] = record;
    printJson(out);
    return {};
  }
  if (!options.output.empty()) return {};
  print(answer.body);
  if (::isatty(STDOUT_FILENO) && !answer.body.empty() && !answer.body.ends_with('\n')) print("\n");
  std::fflush(stdout);
  return {};
}

}  // namespace

Outcome<void> invoke(Context& context, const InvokeOptions& options) {
  Result<std::string> body = readBody(options);
  if (!body) return std::unexpected(localFailure(body.error()));
  ApiRequest request;
  request.method = "POST";
  request.path = functionPath(options.name) + "/invocations";
  request.query = {{"qualifier", options.qualifier}};
  request.action = "InvokeFunction";
  request.body = std::move(*body);
  request.contentType = "application/octet-stream";
  request.headers = {{"x-fc-invocation-type", "Sync"}, {"x-fc-log-type", "Tail"}};
  if (options.queueDeadline) {
    request.headers.emplace_back("X-Okibi-Queue-Deadline-Ms",
                                 fmt::format("{:.0f}", std::ceil(*options.queueDeadline * 1000)));
  }
  request.patience = kPatience;
  Outcome<ApiAnswer> answer = context.client.exchange(request);
  if (!answer) return std::unexpected(answer.error());
  if (answer->status >= 300) return std::unexpected(answerFailure(*answer));
  Json record;
  if (options.verbose || context.asJson()) {
    record = findRecord(context, options.name, answer->header("x-fc-request-id"));
  }
  Outcome<void> delivered = deliver(context, *answer, options, record);
  if (!delivered) return delivered;
  if (options.verbose) describeAnswer(*answer, record);
  std::string errorType = answer->header("x-fc-error-type");
  if (errorType.empty()) return {};
  return std::unexpected(
      Failure{.exit = Exit::Failed,
              .code = errorType,
              .message = "function '" + options.name + "' failed; its answer says why",
              .requestId = answer->header("x-fc-request-id"),
              .remedy = "`okibi logs " + options.name + "` shows its output"});
}

}  // namespace okibi::cli
