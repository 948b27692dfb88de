#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "api/function_json.h"
#include "api/json_reader.h"

namespace okibi::api {
namespace {

constexpr std::size_t kInertMost = 64 * 1024;
constexpr std::string_view kInertFields[] = {"role",
                                             "logConfig",
                                             "tracingConfig",
                                             "vpcConfig",
                                             "nasConfig",
                                             "customDNS",
                                             "ossMountConfig",
                                             "polarFsConfig",
                                             "juiceFsConfig",
                                             "layers",
                                             "instanceIsolationMode",
                                             "sessionAffinity",
                                             "resourceGroupId",
                                             "enableLongLiving",
                                             "disableInjectCredentials"};

template <typename T, typename V>
void assign(T& target, const std::optional<V>& value) {
  if (value) target = T(*value);
}
void assignInt(int& target, std::optional<std::int64_t> value) {
  if (value) target = static_cast<int>(*value);
}
// Clients that know no "not set" send 0 where 0 is no value of the field.
std::optional<std::int64_t> orDefault(std::optional<std::int64_t> value) {
  return value && *value == 0 ? std::nullopt : value;
}
void assignMib(Bytes& target, std::optional<std::int64_t> value) {
  if (value) target = Bytes::mib(*value);
}

// Fields whose values would have to act and cannot.
void refuseWhatCannotAct(const Reader& in) {
  constexpr std::string_view kWhole[] = {
      "layers",          "code", "customRuntimeConfig", "customDNS", "sessionAffinityConfig",
      "enableLongLiving"};
  for (std::string_view key : kWhole) {
    if (in.hasValue(key)) in.complain(key, "is not offered for containers here; leave it out");
  }
  constexpr std::string_view kMounts[] = {"nasConfig", "ossMountConfig", "polarFsConfig",
                                          "juiceFsConfig"};
  for (std::string_view key : kMounts) {
    const auto config = in.object(key);
    if (config && config->hasValue("mountPoints")) {
      config->complain("mountPoints",
                       "network storage is not mounted here; leave it empty, and give models to "
                       "the function by okibi.modelDirectories");
    }
  }
  if (const auto vpc = in.object("vpcConfig")) {
    for (std::string_view key : {"vpcId", "vSwitchIds", "securityGroupId"}) {
      if (vpc->hasValue(key)) vpc->complain(key, "there are no VPCs here; leave it empty");
    }
  }
  const auto only = [&](std::string_view key, std::string_view value) {
    const auto text = in.text(key);
    if (text && !text->empty() && *text != value) {
      in.complain(key, fmt::format("'{}' is not offered; use {}", *text, value));
    }
  };
  only("instanceIsolationMode", "SHARE");
  only("sessionAffinity", "NONE");
}

void readHealthCheck(const Reader& in, ContainerConfig& out) {
  const auto check = in.object("healthCheckConfig");
  if (!check || !in.hasValue("healthCheckConfig")) return;
  HealthCheck health;
  assign(health.path, check->text("httpGetUrl"));
  assign(health.initialDelay, check->integer("initialDelaySeconds"));
  assign(health.period, orDefault(check->integer("periodSeconds")));
  assign(health.timeout, orDefault(check->integer("timeoutSeconds")));
  assignInt(health.failureThreshold, orDefault(check->integer("failureThreshold")));
  assignInt(health.successThreshold, orDefault(check->integer("successThreshold")));
  out.healthCheck = std::move(health);
}

// A client that read the function never saw the password; without one the known one stays.
void readRegistry(const Reader& in, const ContainerConfig& current, ContainerConfig& out) {
  const auto registry = in.object("registryConfig");
  if (!registry) return;
  for (std::string_view key : {"certConfig", "networkConfig"}) {
    if (registry->hasValue(key)) registry->complain(key, "is not offered; leave it out");
  }
  const auto login = registry->object("authConfig");
  if (!login || !registry->hasValue("authConfig")) return;
  RegistryAuth auth;
  assign(auth.user, login->text("userName"));
  assign(auth.password, login->text("password"));
  if (auth.user.empty()) login->complain("userName", "is required");
  const auto& known = current.registryAuth;
  if (auth.password.empty() && known && known->user == auth.user) auth.password = known->password;
  if (auth.password.empty()) login->complain("password", "is required");
  out.registryAuth = std::move(auth);
}

void readContainer(const Reader& in, FunctionSpec& spec) {
  const auto container = in.object("customContainerConfig");
  if (!container || !in.hasValue("customContainerConfig")) return;
  ContainerConfig out;
  assign(out.image, container->text("image"));
  assignInt(out.port, orDefault(container->integer("port")));
  assign(out.entrypoint, container->texts("entrypoint"));
  assign(out.command, container->texts("command"));
  assign(out.accelerationType, container->text("accelerationType"));
  const std::string& acceleration = out.accelerationType;
  if (!acceleration.empty() && acceleration != "Default" && acceleration != "None") {
    container->complain("accelerationType",
                        fmt::format("'{}' is neither Default nor None", acceleration));
  }
  if (container->hasValue("acrInstanceId")) {
    container->complain("acrInstanceId", "is not offered; name the registry in image");
  }
  readHealthCheck(*container, out);
  readRegistry(*container, spec.container, out);
  spec.container = std::move(out);
}

// A hook that is named is replaced; empty handler and command switch it off.
void readHook(const Reader& in, std::string_view key, Hook& hook) {
  const auto object = in.object(key);
  if (!object) return;
  hook = {};
  assign(hook.handler, object->text("handler"));
  assign(hook.command, object->texts("command"));
  assign(hook.timeout, orDefault(object->integer("timeout")));
}

void readGpu(const Reader& in, FunctionSpec& spec) {
  const auto gpu = in.object("gpuConfig");
  if (!gpu) return;
  spec.gpu.reset();
  if (!in.hasValue("gpuConfig")) return;
  const auto type = gpu->text("gpuType");
  const auto memory = gpu->integer("gpuMemorySize");
  if (!gpu->has("gpuType")) gpu->complain("gpuType", "is required");
  if (!gpu->has("gpuMemorySize")) gpu->complain("gpuMemorySize", "is required");
  if (!type || !memory) return;
  const CardType* known = findCardType(*type);
  spec.gpu = GpuConfig{known != nullptr ? std::string(known->name) : *type, Bytes::mib(*memory)};
}

void readCpu(const Reader& in, FunctionSpec& spec) {
  const auto cpu = in.number("cpu");
  if (!cpu) return;
  const double milli = *cpu * 1000;
  // Compared with a tolerance: 0.35 * 1000 is 350 only nearly.
  if (milli < 0 || milli > 1e9 || std::abs(milli - std::round(milli)) > 1e-6) {
    return in.complain("cpu", fmt::format("{} is not a multiple of 0.05 from 0.05", *cpu));
  }
  spec.cpu = MilliCpu{static_cast<int>(std::llround(milli))};
}

void onlyKeys(const Reader& in, std::initializer_list<std::string_view> known) {
  for (const std::string& key : in.keys()) {
    if (std::ranges::find(known, key) != known.end()) continue;
    in.complain(key, fmt::format("is unknown; known here: {}", fmt::join(known, ", ")));
  }
}

void readModelDirectories(const Reader& okibi, FunctionSpec& spec) {
  const auto list = okibi.objects("modelDirectories");
  if (!list) return;
  spec.modelDirectories.clear();
  for (const Reader& one : *list) {
    onlyKeys(one, {"name", "subdirectory", "mountDir"});
    for (std::string_view key : {"name", "mountDir"}) {
      if (!one.has(key)) one.complain(key, "is required");
    }
    spec.modelDirectories.push_back({one.text("name").value_or(""),
                                     one.text("subdirectory").value_or(""),
                                     one.text("mountDir").value_or("")});
  }
}

// Our own section. Unlike the rest it refuses what it does not know: a misspelt subdirectory would
// give the whole root.
void readOkibi(const Reader& in, FunctionSpec& spec) {
  const auto own = in.object("okibi");
  if (!own) return;
  onlyKeys(*own, {"modelDirectories", "weight"});
  readModelDirectories(*own, spec);
  if (const auto weight = own->integer("weight")) spec.weight = static_cast<int>(*weight);
}

void readTags(const Reader& in, FunctionSpec& spec) {
  const auto tags = in.objects("tags");
  if (!tags) return;
  spec.tags.clear();
  for (const Reader& tag : *tags) {
    const auto key = tag.text("Key");
    if (!key || key->empty()) {
      tag.complain("Key", "is required");
      continue;
    }
    spec.tags[*key] = tag.text("Value").value_or("");
  }
}

void readInert(const Reader& in, FunctionSpec& spec) {
  json::object kept;
  if (!spec.inertFields.empty()) kept = json::parse(spec.inertFields).get_object();
  for (std::string_view key : kInertFields) {
    if (const json::value* value = in.find(key)) kept[key] = *value;
  }
  if (kept.empty()) return;
  std::string text = json::serialize(kept);
  if (text.size() > kInertMost) {
    return in.complain("logConfig, tracingConfig, …",
                       fmt::format("{} bytes together are more than {}", text.size(), kInertMost));
  }
  spec.inertFields = std::move(text);
}

void readCommon(const Reader& in, FunctionSpec& spec) {
  assign(spec.handler, in.text("handler"));
  assign(spec.runtime, in.text("runtime"));
  assign(spec.description, in.text("description"));
  readCpu(in, spec);
  assignMib(spec.memory, in.integer("memorySize"));
  assignMib(spec.disk, in.integer("diskSize"));
  readGpu(in, spec);
  assignInt(spec.concurrency, in.integer("instanceConcurrency"));
  assign(spec.timeout, in.integer("timeout"));
  assign(spec.idleTimeout, in.integer("idleTimeout"));
  if (const auto disabled = in.boolean("disableOndemand")) spec.onDemand = !*disabled;
  assign(spec.internetAccess, in.boolean("internetAccess"));
  readContainer(in, spec);
  if (const auto hooks = in.object("instanceLifecycleConfig")) {
    readHook(*hooks, "initializer", spec.initializer);
    readHook(*hooks, "preStop", spec.preStop);
  }
  assign(spec.environment, in.textMap("environmentVariables"));
  readOkibi(in, spec);
  refuseWhatCannotAct(in);
  readInert(in, spec);
}

}  // namespace

Result<FunctionSpec> readNewFunction(std::string_view text) {
  auto object = parseObject(text, "body");
  if (!object) return fail(object.error());
  Complaints complaints;
  const Reader in(*object, complaints);
  FunctionSpec spec;
  for (std::string_view key : {"functionName", "runtime", "handler"}) {
    if (!in.has(key)) in.complain(key, "is required");
  }
  assign(spec.name, in.text("functionName"));
  readCommon(in, spec);
  readTags(in, spec);
  if (auto verdict = complaints.verdict(); !verdict) return fail(verdict.error());
  return spec;
}

Result<FunctionSpec> readFunctionUpdate(std::string_view text, const FunctionSpec& current) {
  auto object = parseObject(text, "body");
  if (!object) return fail(object.error());
  Complaints complaints;
  FunctionSpec spec = current;
  readCommon(Reader(*object, complaints), spec);
  if (auto verdict = complaints.verdict(); !verdict) return fail(verdict.error());
  return spec;
}

}  // namespace okibi::api
