#include <fmt/format.h>

#include "base/encoding.h"
#include "cli/commands.h"
#include "cli/numbers.h"
#include "cli/table.h"

namespace okibi::cli {

namespace {

std::string gpuText(const Json& function) {
  Json gpu = member(function, "gpuConfig");
  if (text(gpu, "gpuType").empty()) return "-";
  return text(gpu, "gpuType") + " " + formatMegabytes(number(gpu, "gpuMemorySize"));
}

// "Active", or with what became of the last update when that is not done.
std::string stateText(const Json& function) {
  const std::string state = text(function, "state"), update = text(function, "lastUpdateStatus");
  if (state != "Active" || update == "Successful" || update.empty()) return state;
  return state + " (update " + toLower(update) + ")";
}

void line(std::string_view name, const std::string& value) {
  if (!value.empty()) printLine(fmt::format("{:<14}{}", name, printable(value)));
}

void describeFunction(const Json& function, const boost::json::array& triggers) {
  line("name", text(function, "functionName"));
  line("description", text(function, "description"));
  line("state", text(function, "state"));
  line("reason", text(function, "stateReason"));
  line("last update", text(function, "lastUpdateStatus"));
  line("update reason", text(function, "lastUpdateStatusReason"));
  line("runtime", text(function, "runtime"));
  Json container = member(function, "customContainerConfig");
  line("image", text(container, "image"));
  line("digest", text(container, "resolvedImageUri"));
  line("GPU", gpuText(function));
  line("CPU", text(function, "cpu") + " vCPU");
  line("memory", formatMegabytes(number(function, "memorySize")));
  line("disk", formatMegabytes(number(function, "diskSize")));
  line("timeout", text(function, "timeout") + " s");
  if (field(function, "idleTimeout")) line("idle timeout", text(function, "idleTimeout") + " s");
  line("concurrency", text(function, "instanceConcurrency") + " per instance");
  const Json own = member(function, "okibi");
  if (field(own, "weight")) line("weight", text(own, "weight") + " when cards or quotas are short");
  for (const Json& one : items(own, "modelDirectories")) {
    const std::string below = text(one, "subdirectory");
    line("models", fmt::format("{}{}{} at {}", text(one, "name"), below.empty() ? "" : "/", below,
                               text(one, "mountDir")));
  }
  line("created", text(function, "createdTime"));
  line("modified", text(function, "lastModifiedTime"));
  line("ARN", text(function, "functionArn"));
  for (const Json& trigger : triggers) {
    line("trigger",
         fmt::format("{} ({}) {}", text(trigger, "triggerName"), text(trigger, "triggerType"),
                     text(member(trigger, "httpTrigger"), "urlInternet")));
  }
}

}  // namespace

Outcome<void> removeAt(Client& client, const std::string& path, const std::string& action) {
  ApiRequest request;
  request.method = "DELETE";
  request.path = path;
  request.action = action;
  Outcome<Json> done = client.json(request);
  if (!done) return std::unexpected(std::move(done.error()));
  return {};
}

Outcome<void> removeNamed(Context& context, const std::string& path, const std::string& action,
                          const std::string& name) {
  Outcome<void> done = removeAt(context.client, path, action);
  if (!done) return done;
  if (context.asJson()) {
    printJson(JsonObject{{"removed", name}});
  } else {
    printLine(name + " removed");
  }
  return {};
}

Outcome<boost::json::array> collect(Client& client, const std::string& path,
                                    const std::string& action, std::string_view name) {
  boost::json::array all;
  std::string next;
  do {
    Outcome<Json> page = client.get(path, action, {{"limit", "100"}, {"nextToken", next}});
    if (!page) return std::unexpected(page.error());
    for (const Json& item : items(*page, name)) all.push_back(item);
    std::string token = text(*page, "nextToken");
    if (token == next) break;
    next = std::move(token);
  } while (!next.empty());
  return all;
}

Outcome<void> listFunctions(Context& context) {
  Outcome<boost::json::array> functions =
      collect(context.client, std::string(kApi) + "/functions", "ListFunctions", "functions");
  if (!functions) return std::unexpected(functions.error());
  if (context.asJson()) {
    printJson(JsonObject{{"functions", std::move(*functions)}});
    return {};
  }
  Table table({left("NAME"), left("STATE"), left("GPU"), right("CPU"), right("MEMORY"),
               right("CONCURRENCY"), left("MODIFIED"), left("IMAGE")});
  for (const Json& f : *functions) {
    // A list of Function Compute has no states.
    Outcome<Json> whole = context.client.get(functionPath(text(f, "functionName")), "GetFunction");
    if (!whole) continue;  // deleted meanwhile
    table.add({text(f, "functionName"), stateText(*whole), gpuText(f), text(f, "cpu"),
               formatMegabytes(number(f, "memorySize")), text(f, "instanceConcurrency"),
               text(f, "lastModifiedTime"), text(member(f, "customContainerConfig"), "image")});
  }
  printTable(table, "no functions; `okibi deploy` makes one");
  return {};
}

Outcome<void> showFunction(Context& context, const std::string& name) {
  Outcome<Json> function = context.client.get(functionPath(name), "GetFunction");
  if (!function) return std::unexpected(function.error());
  Outcome<boost::json::array> triggers =
      collect(context.client, functionPath(name) + "/triggers", "ListTriggers", "triggers");
  if (!triggers) return std::unexpected(triggers.error());
  if (context.asJson()) {
    printJson(JsonObject{{"function", std::move(*function)}, {"triggers", std::move(*triggers)}});
  } else {
    describeFunction(*function, *triggers);
  }
  return {};
}

Outcome<void> removeFunction(Context& context, const std::string& name) {
  std::string all = functionPath(name) + "/triggers";
  Outcome<boost::json::array> triggers = collect(context.client, all, "ListTriggers", "triggers");
  if (!triggers) return std::unexpected(triggers.error());
  for (const Json& trigger : *triggers) {
    ApiRequest request;
    request.method = "DELETE";
    request.path = all + "/" + percentEncode(text(trigger, "triggerName"));
    request.action = "DeleteTrigger";
    Outcome<Json> done = context.client.json(request);
    if (!done) return std::unexpected(done.error());
  }
  return removeNamed(context, functionPath(name), "DeleteFunction", name);
}

}  // namespace okibi::cli
