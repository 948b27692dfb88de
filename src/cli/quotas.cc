// `okibi quota`.

#include <fmt/format.h>

#include "base/encoding.h"
#include "cli/commands.h"
#include "cli/table.h"

namespace okibi::cli {

namespace {

std::string quotasPath(std::string_view rest = "") {
  return fmt::format("{}/quotas{}", kOwnApi, rest);
}

void showRequest(const Context& context, const Json& request) {
  if (context.asJson()) return printJson(request);
  printLine(fmt::format("{} {}: {} from {} to {}", text(request, "requestId"),
                        text(request, "status"), text(request, "name"), text(request, "from"),
                        text(request, "value")));
}

}  // namespace

Outcome<void> listQuotas(Context& context, const QuotaOptions& options) {
  Outcome<Json> answer =
      context.client.get(quotasPath(), "OkibiQuotas", {{"accountId", options.account}});
  if (!answer) return std::unexpected(answer.error());
  if (context.asJson()) {
    printJson(*answer);
    return {};
  }
  Table table({left("QUOTA"), right("USED"), right("LIMIT"), right("DEFAULT")});
  for (const Json& quota : items(*answer, "quotas")) {
    table.add(
        {text(quota, "name"), text(quota, "used"), text(quota, "limit"), text(quota, "default")});
  }
  printTable(table, "no quotas");
  return {};
}

Outcome<void> listQuotaRequests(Context& context) {
  Outcome<Json> answer =
      context.client.get(quotasPath("/requests"), "OkibiQuotaRequests", {{"limit", "100"}});
  if (!answer) return std::unexpected(answer.error());
  if (context.asJson()) {
    printJson(*answer);
    return {};
  }
  Table table({left("REQUEST"), left("ACCOUNT"), left("QUOTA"), right("FROM"), right("TO"),
               left("STATUS"), left("CREATED"), left("REASON"), left("NOTE")});
  for (const Json& one : items(*answer, "requests")) {
    table.add({text(one, "requestId"), text(one, "accountId"), text(one, "name"), text(one, "from"),
               text(one, "value"), text(one, "status"), text(one, "createdTime"),
               text(one, "reason"), text(one, "note")});
  }
  printTable(table, "no requests");
  return {};
}

Outcome<void> requestQuota(Context& context, const QuotaOptions& options) {
  Outcome<Json> made = context.client.json(jsonRequest(
      "POST", quotasPath("/requests"), "OkibiRequestQuota",
      JsonObject{{"name", options.name}, {"value", options.value}, {"reason", options.reason}}));
  if (!made) return std::unexpected(made.error());
  showRequest(context, *made);
  return {};
}

Outcome<void> decideQuota(Context& context, const QuotaOptions& options, const std::string& verb) {
  ApiRequest request =
      jsonRequest("POST", quotasPath("/requests/" + percentEncode(options.name) + "/" + verb),
                  verb == "approve" ? "OkibiApproveQuota" : "OkibiRefuseQuota", JsonObject());
  request.query = {{"note", options.reason}};
  Outcome<Json> done = context.client.json(request);
  if (!done) return std::unexpected(done.error());
  showRequest(context, *done);
  return {};
}

}  // namespace okibi::cli
