#include <fmt/format.h>

#include "api/function_json.h"
#include "api/json_reader.h"
#include "base/crc64.h"
#include "base/encoding.h"

namespace okibi::api {
namespace {

json::array list(const std::vector<std::string>& texts) {
  json::array out;
  for (const std::string& text : texts) out.emplace_back(toJsonText(text));
  return out;
}

// "registry/name:tag" or "…@digest" without tag and digest; the "oci:" form keeps its scheme.
std::string repositoryOf(std::string_view image) {
  if (const auto at = image.find('@'); at != std::string_view::npos) image = image.substr(0, at);
  const auto slash = image.rfind('/');
  const auto colon = image.rfind(':');
  if (colon != std::string_view::npos && slash != std::string_view::npos && colon > slash) {
    image = image.substr(0, colon);
  } else if (colon != std::string_view::npos && slash == std::string_view::npos) {
    image = image.substr(0, colon);
  }
  return std::string(image);
}

json::object healthJson(const HealthCheck& check) {
  return {{"httpGetUrl", toJsonText(check.path)},
          {"initialDelaySeconds", check.initialDelay.count()},
          {"periodSeconds", check.period.count()},
          {"timeoutSeconds", check.timeout.count()},
          {"failureThreshold", check.failureThreshold},
          {"successThreshold", check.successThreshold}};
}

json::object containerJson(const Function& function) {
  const ContainerConfig& container = function.spec.container;
  json::object out{{"image", toJsonText(container.image)}, {"port", container.port}};
  if (!container.entrypoint.empty()) out["entrypoint"] = list(container.entrypoint);
  if (!container.command.empty()) out["command"] = list(container.command);
  if (!container.accelerationType.empty()) {
    out["accelerationType"] = toJsonText(container.accelerationType);
  }
  if (container.healthCheck) out["healthCheckConfig"] = healthJson(*container.healthCheck);
  if (container.registryAuth) {
    out["registryConfig"] = json::object{
        {"authConfig", json::object{{"userName", toJsonText(container.registryAuth->user)}}}};
  }
  // The digest is that of the active revision; another image may be on its way.
  if (!function.imageDigest.empty() && function.active) {
    out["resolvedImageUri"] = toJsonText(
        fmt::format("{}@{}", repositoryOf(function.active->container.image), function.imageDigest));
  }
  out["accelerationInfo"] = json::object{{"status", function.active ? "Ready" : "Preparing"}};
  return out;
}

json::object hookJson(const Hook& hook) {
  json::object out{{"handler", toJsonText(hook.handler)}, {"timeout", hook.timeout.count()}};
  if (!hook.command.empty()) out["command"] = list(hook.command);
  return out;
}

json::array modelDirectoriesJson(const FunctionSpec& spec) {
  json::array directories;
  for (const ModelDirectory& one : spec.modelDirectories) {
    directories.push_back(json::object{{"name", toJsonText(one.root)},
                                       {"subdirectory", toJsonText(one.subdirectory)},
                                       {"mountDir", toJsonText(one.mountDir)}});
  }
  return directories;
}

// Empty: nothing of it was sent.
json::object okibiJson(const FunctionSpec& spec) {
  json::object out;
  if (!spec.modelDirectories.empty()) out["modelDirectories"] = modelDirectoriesJson(spec);
  if (spec.weight) out["weight"] = *spec.weight;
  return out;
}

void putSpec(json::object& out, const FunctionSpec& spec) {
  out["functionName"] = toJsonText(spec.name);
  out["handler"] = toJsonText(spec.handler);
  out["runtime"] = toJsonText(spec.runtime);
  out["description"] = toJsonText(spec.description);
  out["cpu"] = spec.cpu.count / 1000.0;
  out["memorySize"] = spec.memory.wholeMib();
  out["diskSize"] = spec.disk.wholeMib();
  if (spec.gpu) {
    out["gpuConfig"] = json::object{{"gpuType", toJsonText(spec.gpu->type)},
                                    {"gpuMemorySize", spec.gpu->memory.wholeMib()}};
  }
  out["instanceConcurrency"] = spec.concurrency;
  out["timeout"] = spec.timeout.count();
  if (spec.idleTimeout) out["idleTimeout"] = spec.idleTimeout->count();
  out["disableOndemand"] = !spec.onDemand;
  out["internetAccess"] = spec.internetAccess;
  json::object hooks;
  if (spec.initializer.enabled()) hooks["initializer"] = hookJson(spec.initializer);
  if (spec.preStop.enabled()) hooks["preStop"] = hookJson(spec.preStop);
  if (!hooks.empty()) out["instanceLifecycleConfig"] = std::move(hooks);
  json::object environment;
  for (const auto& [key, value] : spec.environment)
    environment[toJsonText(key)] = toJsonText(value);
  out["environmentVariables"] = std::move(environment);
  json::array tags;
  for (const auto& [key, value] : spec.tags) {
    tags.push_back(json::object{{"Key", toJsonText(key)}, {"Value", toJsonText(value)}});
  }
  out["tags"] = std::move(tags);
  if (json::object own = okibiJson(spec); !own.empty()) out["okibi"] = std::move(own);
}

void putState(json::object& out, const Function& function) {
  out["state"] = toString(function.state);
  out["stateReason"] = toJsonText(function.stateReason);
  out["stateReasonCode"] = toJsonText(function.stateReasonCode);
  out["lastUpdateStatus"] = toString(function.lastUpdate);
  out["lastUpdateStatusReason"] = toJsonText(function.lastUpdateReason);
  out["lastUpdateStatusReasonCode"] = toJsonText(function.lastUpdateReasonCode);
}

}  // namespace

std::string functionArn(const FunctionRef& ref, std::string_view region,
                        std::string_view qualifier) {
  return fmt::format("acs:fc:{}:{}:functions/{}{}{}", region, ref.account, ref.name,
                     qualifier.empty() ? "" : "/", qualifier);
}

std::string functionJson(const Function& function, const FunctionFacts& facts, FunctionView view) {
  json::object out;
  if (!function.spec.inertFields.empty()) {
    out = json::parse(function.spec.inertFields).get_object();
  }
  putSpec(out, function.spec);
  out["customContainerConfig"] = containerJson(function);
  out["functionId"] = function.functionId;
  out["functionArn"] = functionArn(function.ref, facts.region, facts.qualifier);
  out["createdTime"] = formatIso8601(function.created);
  out["lastModifiedTime"] = formatIso8601(function.modified);
  out["codeSize"] = 0;
  // What X-Fc-Code-Checksum says of the calls that this image answers.
  if (!function.imageDigest.empty() && function.active) {
    out["codeChecksum"] = std::to_string(crc64(function.imageDigest));
  }
  if (facts.restriction != nullptr) {
    out["invocationRestriction"] =
        json::object{{"disable", facts.restriction->disabled},
                     {"reason", toJsonText(facts.restriction->reason)},
                     {"lastModifiedTime", formatIso8601(facts.restriction->modified)}};
  }
  if (view == FunctionView::Full) putState(out, function);
  return json::serialize(out);
}

}  // namespace okibi::api
