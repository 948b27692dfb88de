// How asynchronous invocations of a qualifier are retried (Function Compute: API, asynchronous
// invocation).

#include <fmt/format.h>

#include "api/call.h"
#include "api/function_json.h"
#include "api/json_reader.h"
#include "base/encoding.h"
#include "conductor/clock.h"

namespace okibi::api {
namespace {

json::object configJson(const Call& call, const ResourceId& id, const AsyncConfig& config) {
  return {{"functionArn", functionArn(id.owner, call.region(), id.name)},
          {"asyncTask", false},
          {"maxAsyncRetryAttempts", config.maxRetries},
          {"maxAsyncEventAgeInSeconds", config.maxAge.count()},
          {"destinationConfig", json::object()},
          {"createdTime", formatIso8601(config.created)},
          {"lastModifiedTime", formatIso8601(config.modified)}};
}

Result<AsyncConfig> readConfig(const Call& call) {
  auto object = parseObject(call.body, "body");
  if (!object) return fail(object.error());
  Complaints complaints;
  const Reader in(*object, complaints);
  AsyncConfig out;
  const std::int64_t retries = in.integer("maxAsyncRetryAttempts").value_or(out.maxRetries);
  const std::int64_t age = in.integer("maxAsyncEventAgeInSeconds").value_or(out.maxAge.count());
  if (retries < 0 || retries > limits::kAsyncRetriesMax) {
    in.complain("maxAsyncRetryAttempts",
                fmt::format("{} is not in 0–{}", retries, limits::kAsyncRetriesMax));
  }
  if (age < 1 || age > limits::kAsyncAgeMax.count()) {
    in.complain("maxAsyncEventAgeInSeconds",
                fmt::format("{} s is not in 1–{} s", age, limits::kAsyncAgeMax.count()));
  }
  if (in.hasValue("asyncTask")) {
    in.complain("asyncTask", "the task model is not offered yet; leave it out");
  }
  if (const auto destinations = in.object("destinationConfig")) {
    for (std::string_view key : {"onSuccess", "onFailure"}) {
      if (destinations->hasValue(key)) {
        destinations->complain(key, "destinations are not offered yet; leave it out");
      }
    }
  }
  out.maxRetries = static_cast<int>(retries);
  out.maxAge = Seconds(age);
  if (auto verdict = complaints.verdict(); !verdict) return fail(verdict.error());
  return out;
}

}  // namespace

Result<Answer> serveAsyncConfig(const Call& call) {
  auto qualifier = qualifierOf(call);
  if (!qualifier) return fail(qualifier.error());
  auto& resources = call.conductor.catalog().resources();
  const ResourceId id{call.function(), *qualifier};
  const auto* current = resources.find<AsyncConfig>(id.owner, id.name);
  if (call.method == "PUT") {
    auto config = readConfig(call);
    if (!config) return fail(config.error());
    config->modified = conductor::wallNow();
    config->created = current == nullptr ? config->modified : current->created;
    if (auto put = resources.put(id, *config); !put) return fail(put.error());
    return ok(json::serialize(configJson(call, id, *config)));
  }
  if (current == nullptr) {
    return fail(ErrorKind::NotFound,
                fmt::format("function '{}' has no asynchronous invocation configuration for '{}'",
                            call.path[1], *qualifier),
                "AsyncConfigNotExists");
  }
  if (call.method == "GET") return ok(json::serialize(configJson(call, id, *current)));
  if (call.method != "DELETE") return notSupported(call);
  if (auto gone = resources.remove<AsyncConfig>(id); !gone) return fail(gone.error());
  return noContent();
}

Result<Answer> listAsyncConfigs(const Call& call) {
  const std::string* only = call.parameter("functionName");
  NamedItems items;
  for (const auto& entry : call.conductor.catalog().resources().all<AsyncConfig>()) {
    const ResourceId& id = entry.first;
    if (id.owner.account != call.account || (only != nullptr && id.owner.name != *only)) continue;
    items.emplace_back(id.owner.name + "/" + id.name,
                       [&call, id, c = entry.second] { return configJson(call, id, *c); });
  }
  return answerPage(call, "configs", items);
}

}  // namespace okibi::api
