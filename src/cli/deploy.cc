#include <filesystem>
#include <optional>

#include <fmt/format.h>

#include "base/encoding.h"
#include "cli/commands.h"
#include "cli/deploy_file.h"
#include "cli/files.h"
#include "cli/pause.h"

namespace okibi::cli {

namespace {

constexpr Duration kPollEvery = 200ms;
constexpr Duration kPollAtMost = 40min;

// The resource's JSON, nullopt when the daemon does not know it.
Outcome<std::optional<Json>> find(Client& client, const std::string& path,
                                  const std::string& action) {
  ApiRequest request;
  request.path = path;
  request.action = action;
  Outcome<ApiAnswer> answer = client.exchange(request);
  if (!answer) return std::unexpected(answer.error());
  if (answer->status == 404) return std::nullopt;
  if (answer->status >= 300) return std::unexpected(answerFailure(*answer));
  boost::system::error_code error;
  Json value = boost::json::parse(answer->body, error);
  return std::optional<Json>(error ? Json() : std::move(value));
}

Failure inFunction(Failure failure, const std::string& name) {
  failure.message = name + ": " + failure.message;
  return failure;
}

Outcome<Json> putFunction(Context& context, const FunctionPlan& plan) {
  Outcome<std::optional<Json>> there = find(context.client, functionPath(plan.name), "GetFunction");
  if (!there) return std::unexpected(there.error());
  if (!there->has_value()) {
    if (!context.asJson()) note(plan.name + ": creating");
    return context.client.json(
        jsonRequest("POST", std::string(kApi) + "/functions", "CreateFunction", plan.create));
  }
  if (!context.asJson()) {
    note(plan.name + ": updating");
    if (plan.create.contains("tags")) {
      note(plan.name + ": note: tags are set at creation only and stay as they are");
    }
  }
  return context.client.json(
      jsonRequest("PUT", functionPath(plan.name), "UpdateFunction", plan.update));
}

// "state" or "lastUpdateStatus" with its reason, for people.
std::string progressOf(const Json& function) {
  bool creating = text(function, "state") == "Pending";
  std::string status = text(function, creating ? "state" : "lastUpdateStatus");
  std::string reason = text(function, creating ? "stateReason" : "lastUpdateStatusReason");
  return reason.empty() ? status : status + ": " + reason;
}

std::optional<Failure> badEnd(const Json& function, const std::string& name) {
  bool created = text(function, "state") != "Failed";
  if (created && text(function, "lastUpdateStatus") != "Failed") return std::nullopt;
  std::string code = text(function, created ? "lastUpdateStatusReasonCode" : "stateReasonCode");
  std::string reason = text(function, created ? "lastUpdateStatusReason" : "stateReason");
  return Failure{.exit = Exit::Failed,
                 .code = code.empty() ? "DeployFailed" : code,
                 .message = name + ": " + (reason.empty() ? "no reason given" : reason),
                 .requestId = {},
                 .remedy = {}};
}

Outcome<Json> waitUntilSettled(Context& context, const std::string& name) {
  std::string shown;
  for (Duration waited{}; waited < kPollAtMost; waited += kPollEvery) {
    Outcome<Json> function = context.client.get(functionPath(name), "GetFunction");
    if (!function) return std::unexpected(inFunction(function.error(), name));
    bool settled = text(*function, "state") != "Pending" &&
                   text(*function, "lastUpdateStatus") != "InProgress";
    if (settled) {
      if (std::optional<Failure> bad = badEnd(*function, name)) return std::unexpected(*bad);
      return function;
    }
    std::string progress = progressOf(*function);
    if (progress != shown && !context.asJson()) note(name + ": " + progress);
    shown = std::move(progress);
    pauseFor(kPollEvery);
  }
  return std::unexpected(Failure{.exit = Exit::Failed,
                                 .code = "TimedOut",
                                 .message = name + ": still not ready after 40 minutes",
                                 .requestId = {},
                                 .remedy = "`okibi info " + name + "` shows the state"});
}

Outcome<Json> putTrigger(Context& context, const std::string& functionName,
                         const TriggerPlan& trigger) {
  std::string all = functionPath(functionName) + "/triggers";
  std::string one = all + "/" + percentEncode(trigger.name);
  Outcome<std::optional<Json>> there = find(context.client, one, "GetTrigger");
  if (!there) return std::unexpected(there.error());
  Outcome<Json> done =
      there->has_value()
          ? context.client.json(jsonRequest("PUT", one, "UpdateTrigger", trigger.update))
          : context.client.json(jsonRequest("POST", all, "CreateTrigger", trigger.create));
  if (!done) return std::unexpected(inFunction(done.error(), "trigger " + trigger.name));
  return done;
}

// An image in a local layout is imported first, where this account may: a function may name what
// was, and what is below a folder that the operator approved.
Outcome<void> importLayout(Context& context, const FunctionPlan& plan) {
  const auto container = plan.create.find("customContainerConfig");
  if (container == plan.create.end()) return {};
  const std::string image = text(container->value(), "image");
  if (!image.starts_with("oci:")) return {};
  Outcome<Json> there = fetchImage(context, {.reference = image, .userName = {}, .password = {}});
  if (!there && there.error().code != "AccessDenied") return std::unexpected(there.error());
  return {};
}

Outcome<Json> deployFunction(Context& context, const FunctionPlan& plan,
                             const DeployOptions& options) {
  for (const std::string& line : plan.notes) note(plan.name + ": note: " + line);
  if (Outcome<void> imported = importLayout(context, plan); !imported) {
    return std::unexpected(inFunction(imported.error(), plan.name));
  }
  Outcome<Json> function = putFunction(context, plan);
  if (!function) return std::unexpected(inFunction(function.error(), plan.name));
  if (options.wait) function = waitUntilSettled(context, plan.name);
  if (!function) return function;
  if (!context.asJson()) printLine(plan.name + ": " + text(*function, "state"));
  boost::json::array triggers;
  for (const TriggerPlan& trigger : plan.triggers) {
    Outcome<Json> made = putTrigger(context, plan.name, trigger);
    if (!made) return std::unexpected(inFunction(made.error(), plan.name));
    std::string url = text(member(*made, "httpTrigger"), "urlInternet");
    if (!context.asJson()) {
      printLine(
          fmt::format("{}: trigger {}{}", plan.name, trigger.name, url.empty() ? "" : " " + url));
    }
    triggers.push_back(std::move(*made));
  }
  JsonObject out{{"function", std::move(*function)}, {"triggers", std::move(triggers)}};
  if (plan.domain) {
    const std::string folder = std::filesystem::path(options.file).parent_path().string();
    Outcome<Json> domain = putDomain(context, *plan.domain, folder);
    if (!domain) {
      return std::unexpected(inFunction(domain.error(), "custom domain " + plan.domain->name));
    }
    if (!context.asJson()) printLine(plan.name + ": custom domain " + text(*domain, "domainName"));
    out["customDomain"] = std::move(*domain);
  }
  return Json(std::move(out));
}

}  // namespace

Outcome<void> deploy(Context& context, const DeployOptions& options) {
  Result<std::string> yaml = readFile(options.file, Bytes::mib(1));
  if (!yaml) {
    Failure failure = localFailure(yaml.error());
    failure.remedy = "-f FILE names the file to deploy";
    return std::unexpected(failure);
  }
  Result<std::vector<FunctionPlan>> plans = readDeployFile(*yaml);
  if (!plans) return std::unexpected(localFailure(withContext(plans.error(), options.file)));
  boost::json::array deployed;
  for (const FunctionPlan& plan : *plans) {
    Outcome<Json> done = deployFunction(context, plan, options);
    if (!done) return std::unexpected(done.error());
    deployed.push_back(std::move(*done));
  }
  if (context.asJson()) printJson(JsonObject{{"deployed", std::move(deployed)}});
  return {};
}

}  // namespace okibi::cli
