#include "cli/deploy_file.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "base/encoding.h"
#include "cli/yaml_json.h"

namespace okibi::cli {

namespace {

constexpr std::string_view kTopKeys = "edition name access vars resources actions template";
constexpr std::string_view kResourceKeys = "component props actions extend";
// Read from the file, but not part of a function's body.
constexpr std::string_view kApart[] = {"region", "endpoint", "triggers", "customDomain"};
constexpr std::string_view kWithoutEffect[] = {"asyncInvokeConfig", "concurrencyConfig",
                                               "provisionConfig",   "scalingConfig",
                                               "vpcBinding",        "annotations"};
constexpr std::string_view kOnlyAtCreation[] = {"functionName", "tags", "resourceGroupId"};

std::string textOf(const JsonObject& object, std::string_view key) {
  const Json* found = object.if_contains(key);
  return found != nullptr && found->is_string() ? std::string(found->get_string()) : "";
}

// The API carries some objects as JSON text.
void flatten(JsonObject& object, std::string_view key) {
  Json* found = object.if_contains(key);
  if (found != nullptr && !found->is_string()) *found = Json(boost::json::serialize(*found));
}

Result<TriggerPlan> readTrigger(const Json& value, const std::string& place) {
  if (!value.is_object()) return fail(ErrorKind::Invalid, place + ": must be an object");
  TriggerPlan plan;
  plan.create = value.get_object();
  plan.name = textOf(plan.create, "triggerName");
  for (std::string_view required : {"triggerName", "triggerType"}) {
    if (textOf(plan.create, required).empty()) {
      return fail(ErrorKind::Invalid, fmt::format("{}: {} is missing", place, required));
    }
  }
  if (Json* config = plan.create.if_contains("triggerConfig"); config && config->is_object()) {
    flatten(config->get_object(), "authConfig");
  }
  flatten(plan.create, "triggerConfig");
  plan.update = plan.create;
  for (std::string_view key : {"triggerName", "triggerType", "sourceArn"}) plan.update.erase(key);
  return plan;
}

Result<void> takeTriggers(const JsonObject& props, const std::string& place, FunctionPlan& plan) {
  const Json* triggers = props.if_contains("triggers");
  if (triggers == nullptr) return {};
  if (!triggers->is_array()) return fail(ErrorKind::Invalid, place + ".triggers: must be a list");
  for (std::size_t i = 0; i < triggers->get_array().size(); ++i) {
    Result<TriggerPlan> trigger =
        readTrigger(triggers->get_array()[i], fmt::format("{}.triggers[{}]", place, i));
    if (!trigger) return fail(trigger.error());
    plan.triggers.push_back(std::move(*trigger));
  }
  return {};
}

// One route in fc3's short form, for this function; or all of them, which may leave the function's
// name out.
Result<void> takeRoutes(JsonObject& body, const std::string& place, const std::string& function) {
  boost::json::array routes;
  if (const Json* route = body.if_contains("route"); route != nullptr) {
    routes.push_back(*route);
    body.erase("route");
  } else if (const Json* config = body.if_contains("routeConfig"); config != nullptr) {
    const Json* list = config->is_object() ? config->get_object().if_contains("routes") : nullptr;
    if (list != nullptr && list->is_array()) routes = list->get_array();
  }
  if (routes.empty()) return fail(ErrorKind::Invalid, place + ": route is missing");
  for (Json& route : routes) {
    if (!route.is_object()) return fail(ErrorKind::Invalid, place + ".route: must be an object");
    route.get_object().emplace("functionName", function);
  }
  body["routeConfig"] = JsonObject{{"routes", std::move(routes)}};
  return {};
}

Result<void> takeDomain(const JsonObject& props, const std::string& propsPlace,
                        FunctionPlan& plan) {
  const Json* value = props.if_contains("customDomain");
  if (value == nullptr) return {};
  const std::string place = propsPlace + ".customDomain";
  if (!value->is_object()) return fail(ErrorKind::Invalid, place + ": must be an object");
  DomainPlan domain;
  domain.body = value->get_object();
  domain.name = textOf(domain.body, "domainName");
  domain.body.erase("domainName");
  if (domain.name.empty() || toLower(domain.name) == "auto") {
    return fail(ErrorKind::Invalid, place +
                                        ".domainName: must be a name of yours; 'auto' asks a "
                                        "service that does not exist here");
  }
  if (auto taken = takeRoutes(domain.body, place, textOf(props, "functionName")); !taken) {
    return taken;
  }
  if (Json* auth = domain.body.if_contains("authConfig"); auth && auth->is_object()) {
    flatten(auth->get_object(), "authInfo");
  }
  plan.domain = std::move(domain);
  return {};
}

// "auto" asks Alibaba's services for something that does not exist here.
void dropAuto(JsonObject& body, FunctionPlan& plan) {
  for (std::string_view key : {"logConfig", "vpcConfig", "nasConfig", "ossMountConfig"}) {
    if (textOf(body, key) != "auto") continue;
    body.erase(key);
    plan.notes.push_back(std::string(key) + ": 'auto' has no meaning here and is left out");
  }
}

Result<void> writeTags(JsonObject& body, const std::string& place) {
  Json* tags = body.if_contains("tags");
  if (tags == nullptr) return {};
  if (!tags->is_array()) return fail(ErrorKind::Invalid, place + ".tags: must be a list");
  for (Json& tag : tags->get_array()) {
    if (!tag.is_object()) {
      return fail(ErrorKind::Invalid, place + ".tags: each must have key and value");
    }
    const JsonObject& pair = tag.get_object();
    tag = JsonObject{{"Key", textOf(pair, "key")}, {"Value", textOf(pair, "value")}};
  }
  return {};
}

Result<FunctionPlan> readFunction(const std::string& resource, JsonObject props,
                                  const std::string& place) {
  FunctionPlan plan;
  plan.resource = resource;
  for (std::string_view required : {"functionName", "runtime"}) {
    if (textOf(props, required).empty()) {
      return fail(ErrorKind::Invalid, fmt::format("{}: {} is missing", place, required));
    }
  }
  if (Result<void> done = takeTriggers(props, place, plan); !done) return fail(done.error());
  if (Result<void> done = takeDomain(props, place, plan); !done) return fail(done.error());
  for (std::string_view key : kApart) props.erase(key);
  for (std::string_view key : kWithoutEffect) {
    if (props.erase(key) > 0) {
      plan.notes.push_back(std::string(key) + ": not carried out by `okibi deploy`");
    }
  }
  dropAuto(props, plan);
  flatten(props, "sessionAffinityConfig");
  if (Result<void> done = writeTags(props, place); !done) return fail(done.error());
  // The API demands a handler even where it has no meaning.
  if (!props.contains("handler")) props["handler"] = "not-used";
  plan.name = textOf(props, "functionName");
  plan.create = props;
  plan.update = std::move(props);
  for (std::string_view key : kOnlyAtCreation) plan.update.erase(key);
  return plan;
}

Result<FunctionPlan> readResource(const std::string& name, const YAML::Node& node,
                                  const YAML::Node& vars) {
  std::string place = "resources." + name;
  if (!node.IsMap()) return fail(ErrorKind::Invalid, place + ": must hold component and props");
  for (const auto& entry : node) {
    Result<void> good = checkKey(entry.first.Scalar(), kResourceKeys, place);
    if (!good) return fail(good.error());
  }
  YAML::Node component = node["component"];
  if (component && component.IsScalar()) {
    const std::string& kind = component.Scalar();
    if (kind != "fc3" && !kind.starts_with("fc3@")) {
      return fail(ErrorKind::Invalid,
                  fmt::format("{}.component: '{}' is not supported, only fc3", place, kind));
    }
  }
  YAML::Node props = node["props"];
  place += ".props";
  if (!props || !props.IsMap()) return fail(ErrorKind::Invalid, place + ": missing");
  Result<Json> json = toJson(props, {place, ""}, vars);
  if (!json) return fail(json.error());
  return readFunction(name, std::move(json->get_object()), place);
}

Result<std::vector<FunctionPlan>> readDocument(const YAML::Node& document) {
  if (!document.IsMap()) return fail(ErrorKind::Invalid, "not an s.yaml: no keys at the top");
  for (const auto& entry : document) {
    Result<void> good = checkKey(entry.first.Scalar(), kTopKeys, "s.yaml");
    if (!good) return fail(good.error());
  }
  YAML::Node resources = document["resources"];
  if (!resources || !resources.IsMap() || resources.size() == 0) {
    return fail(ErrorKind::Invalid, "resources: missing or empty");
  }
  YAML::Node vars = document["vars"] ? document["vars"] : YAML::Node();
  std::vector<FunctionPlan> plans;
  for (const auto& entry : resources) {
    Result<FunctionPlan> plan = readResource(entry.first.Scalar(), entry.second, vars);
    if (!plan) return fail(plan.error());
    plans.push_back(std::move(*plan));
  }
  return plans;
}

}  // namespace

Result<std::vector<FunctionPlan>> readDeployFile(std::string_view yaml) {
  try {
    return readDocument(YAML::Load(std::string(yaml)));
  } catch (const YAML::Exception& error) {
    return fail(ErrorKind::Invalid, error.what());
  }
}

}  // namespace okibi::cli
