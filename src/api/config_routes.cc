// Which resource around a function or an account a path means, and what is answered for those that
// there is nothing of here: as Function Compute does when nothing is set (Function Compute: API,
// Serverless Devs).

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
    {"GET", "async-tasks", "List/GetAsyncTask"},
    {"PUT", "async-tasks", "StopAsyncTask"},
    {"POST", "vpc-bindings", "CreateVpcBinding"},
    {"POST", "sessions", "CreateSession"},
    {"GET", "sessions", "GetSession"},
    {"PUT", "sessions", "UpdateSession"},
    {"DELETE", "sessions", "DeleteSession"},
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

// There are no layers, so none that is named is found.
bool asksForALayer(const Call& call) {
  const bool reads = call.method == "GET" || call.method == "DELETE";
  if (call.path[0] == "layerarn") return call.path.size() == 2 && call.method == "GET";
  if (call.path[0] != "layers" || call.path.size() < 3 || call.path[2] != "versions") return false;
  return call.path.size() == 3 ? call.method == "GET" : call.path.size() == 4 && reads;
}

std::unexpected<Error> noSuchLayer(const Call& call) {
  const bool version = call.path.size() != 3;
  return fail(ErrorKind::NotFound,
              fmt::format("there is no layer '{}'; layers are not offered", call.path[1]),
              version ? "LayerVersionNotFound" : "LayerNotFound");
}

using Serve = Result<Answer> (*)(const Call&);
struct Resource {
  std::string_view name;
  Serve serve;
};
constexpr Resource kOfFunction[] = {{"versions", serveVersions},
                                    {"aliases", serveAliases},
                                    {"invoke", serveInvocationSwitch},
                                    {"provision-config", serveProvisionConfig},
                                    {"scaling-config", serveScalingConfig},
                                    {"concurrency", serveConcurrency},
                                    {"async-invoke-config", serveAsyncConfig}};
constexpr Resource kListed[] = {{"provision-configs", listProvisionConfigs},
                                {"scaling-configs", listScalingConfigs},
                                {"concurrency-configs", listConcurrencyConfigs},
                                {"async-invoke-configs", listAsyncConfigs}};

}  // namespace

Result<Answer> serveFunctionConfigs(const Call& call) {
  if (auto found = call.conductor.catalog().get(call.function()); !found) {
    return fail(found.error());
  }
  for (const Resource& resource : kOfFunction) {
    if (resource.name == call.path[2]) return resource.serve(call);
  }
  const bool reads = call.method == "GET" && call.path.size() == 3;
  if (reads && call.path[2] == "vpc-bindings") return ok(R"({"vpcIds":[]})");
  if (reads && call.path[2] == "sessions") return ok(R"({"sessions":[]})");
  return refuseByName(call, call.path[2]);
}

Result<Answer> serveAccountConfigs(const Call& call) {
  const std::string resource = call.path.empty() ? std::string() : call.path[0];
  if (resource == "tags-v2") return serveTags(call);
  if (resource == "custom-domains") return serveDomains(call);
  if (call.method == "GET" && call.path.size() == 1) {
    for (const Resource& list : kListed) {
      if (list.name == resource) return list.serve(call);
    }
    if (resource == "layers") return ok(R"({"layers":[]})");
    if (resource == "regions") {
      const json::object region{{"RegionId", toJsonText(call.region())},
                                {"LocalName", toJsonText(call.region())}};
      return ok(json::serialize(
          json::object{{"Regions", json::object{{"Region", json::array{region}}}}}));
    }
  }
  if (!call.path.empty() && asksForALayer(call)) return noSuchLayer(call);
  return refuseByName(call, resource);
}

}  // namespace okibi::api
