#pragma once
// A function: a container image plus its spec, and the state of its deployment. Values only; the
// rules are in model/validation.h. Field names follow Function Compute (Function Compute: API).

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/units.h"
#include "model/gpu_spec.h"
#include "model/model_directory.h"

namespace okibi {

using Seconds = std::chrono::seconds;

// CPU in thousandths of a vCPU.
struct MilliCpu {
  int count = 0;
  auto operator<=>(const MilliCpu&) const = default;
};

struct HealthCheck {
  std::string path;  // httpGetUrl
  Seconds initialDelay{0}, period{3}, timeout{1};
  int failureThreshold = 3, successThreshold = 1;
  bool operator==(const HealthCheck&) const = default;
};

// Credentials for the registry; used when the image is pulled, never shown again.
struct RegistryAuth {
  std::string user, password;
  bool operator==(const RegistryAuth&) const = default;
};

struct ContainerConfig {
  std::string image;  // "registry/name:tag", "name@sha256:…"; resolved by ImageStore at deploy
  int port = 9000;
  std::vector<std::string> entrypoint, command;  // empty: the image's
  std::optional<HealthCheck> healthCheck;
  std::optional<RegistryAuth> registryAuth;
  std::string accelerationType;  // "Default", "None" or empty; kept for clients, does not act
  bool operator==(const ContainerConfig&) const = default;
};

// Initializer or preStop: a request to the container (handler set) or a command inside it. Neither:
// off.
struct Hook {
  std::string handler;
  std::vector<std::string> command;
  Seconds timeout = limits::kHookTimeoutDefault;
  bool enabled() const { return !handler.empty() || !command.empty(); }
  bool operator==(const Hook&) const = default;
};

struct FunctionSpec {
  std::string name;
  std::string handler = "index.handler";  // stored and returned; containers do not use it
  std::string runtime = "custom-container";
  std::string description;
  MilliCpu cpu{350};
  Bytes memory = Bytes::mib(512);
  Bytes disk = Bytes::mib(512);
  std::optional<GpuConfig> gpu;
  int concurrency = 1;  // requests one instance serves at once
  Seconds timeout{3};
  std::optional<Seconds> idleTimeout;  // as the client sent it
  Seconds keptIdle() const { return idleTimeout.value_or(limits::kIdleDefault); }
  bool onDemand = true;  // false: disableOndemand
  bool internetAccess = true;
  ContainerConfig container;
  Hook initializer, preStop;
  std::map<std::string, std::string> environment;
  std::map<std::string, std::string> tags;
  std::vector<ModelDirectory> modelDirectories;  // okibi.modelDirectories
  // okibi.weight, 1–100, as the client sent it; not sent: 1. Its part among the functions of its
  // account, when cards or quotas are short.
  std::optional<int> weight;
  // JSON object text of fields that are stored and returned but do not act (logConfig, role, …).
  std::string inertFields;
  bool operator==(const FunctionSpec&) const = default;
};

enum class FunctionState { Pending, Active, Failed };
enum class UpdateStatus { Successful, InProgress, Failed };
std::string_view toString(FunctionState state);
std::string_view toString(UpdateStatus status);

// Who owns a function. Quota and billing count by it.
struct FunctionRef {
  std::string account, name;
  auto operator<=>(const FunctionRef&) const = default;
};

// A deployed function as the store keeps it. While an update is in progress `spec` is what was
// asked for last and `active` what requests are served with.
struct Function {
  FunctionRef ref;
  std::string functionId;
  FunctionSpec spec;
  FunctionState state = FunctionState::Pending;
  std::string stateReason, stateReasonCode;
  UpdateStatus lastUpdate = UpdateStatus::InProgress;
  std::string lastUpdateReason, lastUpdateReasonCode;
  std::string imageDigest;             // manifest digest of the active revision; empty until Active
  std::uint64_t revision = 1;          // counts configurations; an instance belongs to one
  std::optional<FunctionSpec> active;  // what requests are served with; nullopt until first Active
  std::uint64_t activeRevision = 0;
  WallTime created{}, modified{};
};

}  // namespace okibi
