// What clients read around a function on every deploy and removal: configurations that nothing can
// set yet, answered as Function Compute answers when nothing is set (fact sheet 1.7, 7.2).

#include <fmt/format.h>

#include "api/call.h"
#include "api/function_json.h"
#include "api/json_reader.h"

namespace okibi::api {
namespace {

// Operations of Function Compute that are known and not offered, so that the refusal can say which.
struct Operation {
  std::string_view method, resource, action;
};
constexpr Operation kNotOffered[] = {
    {"GET", "code", "GetFunctionCode"},
    {"PUT", "provision-config", "PutProvisionConfig"},
    {"PUT", "scaling-config", "PutScalingConfig"},
    {"PUT", "concurrency", "PutConcurrencyConfig"},
    {"PUT", "async-invoke-config", "PutAsyncInvokeConfig"},
    {"GET", "async-tasks", "List/GetAsyncTask"},
    {"PUT", "async-tasks", "StopAsyncTask"},
    {"POST", "vpc-bindings", "CreateVpcBinding"},
    {"POST", "sessions", "CreateSession"},
    {"GET", "sessions", "List/GetSession"},
    {"PUT", "sessions", "UpdateSession"},
    {"DELETE", "sessions", "DeleteSession"},
    {"POST", "custom-domains", "CreateCustomDomain"},
    {"PUT", "custom-domains", "UpdateCustomDomain"},
    {"POST", "tags-v2", "TagResources"},
    {"GET", "tags-v2", "ListTagResources"},
    {"DELETE", "tags-v2", "UntagResources"},
    {"POST", "layers", "CreateLayerVersion"},
    {"PUT", "layers", "PutLayerACL"},
    {"PUT", "resource-groups", "ChangeResourceGroup"},
};

std::unexpected<Error> refuseByName(const Call& call, std::string_view resource) {
  for (const Operation& operation : kNotOffered) {
    if (operation.method == call.method && operation.resource == resource) {
      return fail(ErrorKind::Invalid,
                  fmt::format("{} is not offered by this platform yet ('{}' against '{}' is not "
                              "supported)",
                              operation.action, call.target, call.method),
                  "PathNotSupported");
    }
  }
  return notSupported(call);
}

std::unexpected<Error> notFound(const Call& call, std::string_view what, std::string code) {
  return fail(ErrorKind::NotFound, fmt::format("function '{}' has no {}", call.path[1], what),
              std::move(code));
}

std::string provisionConfig(const Call& call) {
  return json::serialize(json::object{{"functionArn", functionArn(call.function(), call.region())},
                                      {"defaultTarget", 0},
                                      {"target", 0},
                                      {"current", 0},
                                      {"currentError", ""},
                                      {"alwaysAllocateCPU", false},
                                      {"alwaysAllocateGPU", false},
                                      {"scheduledActions", json::array()},
                                      {"targetTrackingPolicies", json::array()}});
}

std::string scalingConfig(const Call& call) {
  return json::serialize(json::object{{"functionArn", functionArn(call.function(), call.region())},
                                      {"minInstances", 0},
                                      {"currentInstances", 0},
                                      {"targetInstances", 0},
                                      {"currentError", ""},
                                      {"horizontalScalingPolicies", json::array()},
                                      {"scheduledPolicies", json::array()}});
}

std::string listInstances(const Call& call) {
  json::array out;
  for (const conductor::InstanceStatus& instance : call.conductor.instances()) {
    if (instance.account != call.account || instance.function != call.path[1]) continue;
    out.push_back(json::object{{"instanceId", toJsonText(instance.name)},
                               {"versionId", "0"},
                               {"qualifier", "LATEST"},
                               {"status", instance.state}});
  }
  return json::serialize(json::object{{"instances", out}, {"requestId", call.requestId}});
}

Result<Answer> read(const Call& call, std::string_view resource) {
  if (resource == "provision-config") return ok(provisionConfig(call));
  if (resource == "scaling-config") return ok(scalingConfig(call));
  if (resource == "vpc-bindings") return ok(R"({"vpcIds":[]})");
  if (resource == "instances") return ok(listInstances(call));
  return refuseByName(call, resource);
}

}  // namespace

Result<Answer> serveFunctionConfigs(const Call& call) {
  if (auto found = call.conductor.catalog().get(call.function()); !found) {
    return fail(found.error());
  }
  const std::string& resource = call.path[2];
  const bool reading = call.method == "GET", removing = call.method == "DELETE";
  if (call.path.size() != 3 || !(reading || removing)) return refuseByName(call, resource);
  if (resource == "concurrency") {
    return notFound(call, "concurrency configuration", "OnDemandConfigNotFound");
  }
  if (resource == "async-invoke-config") {
    return notFound(call, "asynchronous invocation configuration", "AsyncConfigNotExists");
  }
  if (reading) return read(call, resource);
  // Deleting what is not set leaves it not set.
  if (resource == "provision-config" || resource == "scaling-config") return noContent();
  return refuseByName(call, resource);
}

Result<Answer> serveAccountConfigs(const Call& call) {
  const std::string resource = call.path.empty() ? std::string() : call.path[0];
  if (call.method == "GET" && call.path.size() == 1) {
    constexpr std::pair<std::string_view, std::string_view> kEmptyLists[] = {
        {"provision-configs", R"({"provisionConfigs":[]})"},
        {"scaling-configs", R"({"scalingConfigs":[]})"},
        {"concurrency-configs", R"({"configs":[]})"},
        {"async-invoke-configs", R"({"configs":[]})"},
        {"custom-domains", R"({"customDomains":[]})"},
        {"layers", R"({"layers":[]})"}};
    for (const auto& [name, body] : kEmptyLists) {
      if (resource == name) return ok(std::string(body));
    }
    if (resource == "regions") {
      const json::object region{{"RegionId", toJsonText(call.region())},
                                {"LocalName", toJsonText(call.region())}};
      return ok(json::serialize(
          json::object{{"Regions", json::object{{"Region", json::array{region}}}}}));
    }
  }
  if (resource == "custom-domains" && call.path.size() == 2 && call.method != "PUT") {
    return fail(ErrorKind::NotFound, fmt::format("there is no domain '{}'", call.path[1]),
                "DomainNameNotFound");
  }
  return refuseByName(call, resource);
}

}  // namespace okibi::api
