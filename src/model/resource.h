#pragma once
// Resources: what is configured around functions, less triggers: versions, aliases, minimum
// instances, caps, asynchronous invocation, custom domains (Function Compute: API), roles. Values
// only. Each kind is one struct; a new kind is a struct here, its place in `Resource` and its
// fields in store/function_codec.cc.

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/units.h"
#include "model/domain.h"
#include "model/function.h"
#include "model/role.h"

namespace okibi {

inline constexpr std::string_view kLatest = "LATEST";

// A published configuration; its name is its number ("1", "2", …). Never changes.
struct Version {
  FunctionSpec spec;
  std::string imageDigest;
  std::string description;
  WallTime created{};
  bool operator==(const Version&) const = default;
};

// A name for a version, with part of the traffic on others.
struct Alias {
  std::string versionId;
  std::map<std::string, std::int64_t> additional;  // version id → millionths of the traffic
  std::string description;
  WallTime created{}, modified{};
  bool operator==(const Alias&) const = default;
};

// The last number given to a version of a function: numbers are not used twice.
struct VersionCounter {
  std::int64_t last = 0;
  bool operator==(const VersionCounter&) const = default;
};

// DisableFunctionInvocation; absent: enabled and never disabled.
struct InvocationRestriction {
  bool disabled = false;
  std::string reason;
  WallTime modified{};
  bool operator==(const InvocationRestriction&) const = default;
};

// A target that holds from each time of `expression` on ("cron(…)", "at(…)"), within
// [start, end); times without a zone of their own are in `timeZone`.
struct ScheduledTarget {
  std::string name, expression, timeZone;
  std::optional<WallTime> start, end;
  int target = 0;
  std::string startText, endText;  // as the client wrote them; empty: as start and end say
  bool operator==(const ScheduledTarget&) const = default;
};

// What a target can follow (Function Compute: auto scaling of minimum instances), on the kept
// instances: requests on them / slots; CPU time / configured CPUs; GPU memory that the driver sees
// in use / slices.
inline constexpr std::string_view kConcurrencyMetric = "ProvisionedConcurrencyUtilization";
inline constexpr std::string_view kCpuMetric = "CPUUtilization";
inline constexpr std::string_view kGpuMemoryMetric = "GPUMemUtilization";

// A target that follows a metric.
struct TrackingPolicy {
  std::string name, metric, timeZone;  // metric: one of the above
  std::optional<WallTime> start, end;
  std::int64_t metricTargetMillionths = 0;
  int least = 0, most = 0;
  std::string startText, endText;  // as in ScheduledTarget
  bool operator==(const TrackingPolicy&) const = default;
};

// Minimum instances of a qualifier, set by PutProvisionConfig or by PutScalingConfig: two views of
// one thing, of which at most one is set (Function Compute: auto scaling of minimum instances). Its
// name is the qualifier.
struct MinimumConfig {
  bool scaling = false;  // set by PutScalingConfig
  int minimum = 0;       // while no policy is in effect
  bool alwaysCpu = true, alwaysGpu = true;
  std::vector<ScheduledTarget> schedules;
  std::vector<TrackingPolicy> tracking;
  bool onDemandScaling = true;  // scaling only: stored and returned
  std::string dispatchPolicy;   // scaling only, requestDispatchPolicy: stored and returned
  bool operator==(const MinimumConfig&) const = default;
};

// Most instances a function may have, over all its versions; 0 forbids calling it.
struct ConcurrencyCap {
  int reserved = 0;
  bool operator==(const ConcurrencyCap&) const = default;
};

// How asynchronous invocations of a qualifier are retried. Its name is the qualifier.
struct AsyncConfig {
  int maxRetries = 3;
  Seconds maxAge{86400};
  WallTime created{}, modified{};
  bool operator==(const AsyncConfig&) const = default;
};

// What an account asked its administrator for, and what came of it; kept as the history.
struct QuotaRequest {
  std::string quota;  // "gpuCards", "instances"
  std::int64_t from = 0, value = 0;
  std::string reason, note;
  std::string status;  // "Pending", "Approved", "Refused"
  WallTime created{}, decided{};
  bool operator==(const QuotaRequest&) const = default;
};

using Resource = std::variant<Version, Alias, VersionCounter, InvocationRestriction, MinimumConfig,
                              ConcurrencyCap, AsyncConfig, QuotaRequest, CustomDomain, Role>;
// As stored: never renamed.
inline constexpr std::array<std::string_view, std::variant_size_v<Resource>> kResourceKinds{
    "version", "alias", "versionCounter", "restriction", "minimum",
    "cap",     "async", "quotaRequest",   "domain",      "role"};

// `owner.name` is empty for what belongs to the account; `name` for what a function has one of.
struct ResourceId {
  FunctionRef owner;
  std::string name;
  auto operator<=>(const ResourceId&) const = default;
};

struct StoredResource {
  ResourceId id;
  Resource value;
  bool operator==(const StoredResource&) const = default;
};

}  // namespace okibi
