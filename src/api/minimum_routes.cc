// Minimum instances of a qualifier, as PutProvisionConfig and as PutScalingConfig see them, and the
// cap of a function (Function Compute: API, auto scaling of minimum instances).

#include <cmath>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "api/call.h"
#include "api/function_json.h"
#include "api/json_reader.h"
#include "base/encoding.h"
#include "model/schedule.h"

namespace okibi::api {
namespace {

constexpr int kMostTarget = 10'000;
constexpr std::size_t kMostPolicies = 100;
constexpr std::size_t kDispatchPolicyMost = 64;
constexpr double kMillion = 1e6;

// One thing under the two sets of names that the two operations have for it.
struct Words {
  bool scaling;
  std::string_view minimum, current, target, schedules, tracking, least, most;
};
constexpr Words kProvision{false,         "defaultTarget",    "current",
                           "target",      "scheduledActions", "targetTrackingPolicies",
                           "minCapacity", "maxCapacity"};
constexpr Words kScaling{true,
                         "minInstances",
                         "currentInstances",
                         "targetInstances",
                         "scheduledPolicies",
                         "horizontalScalingPolicies",
                         "minInstances",
                         "maxInstances"};

// As the client wrote it: one that compares what it reads with what it wrote finds no difference.
json::string timeText(const std::optional<WallTime>& time, const std::string& written) {
  if (!written.empty()) return toJsonText(written);
  return json::string(time ? formatIso8601(*time) : std::string());
}

json::array schedulesJson(const MinimumConfig& config) {
  json::array out;
  for (const ScheduledTarget& one : config.schedules) {
    out.push_back(json::object{{"name", toJsonText(one.name)},
                               {"startTime", timeText(one.start, one.startText)},
                               {"endTime", timeText(one.end, one.endText)},
                               {"scheduleExpression", toJsonText(one.expression)},
                               {"target", one.target},
                               {"timeZone", toJsonText(one.timeZone)}});
  }
  return out;
}

json::array trackingJson(const MinimumConfig& config, const Words& words) {
  json::array out;
  for (const TrackingPolicy& one : config.tracking) {
    json::object policy{
        {"name", toJsonText(one.name)},
        {"startTime", timeText(one.start, one.startText)},
        {"endTime", timeText(one.end, one.endText)},
        {"metricType", toJsonText(one.metric)},
        {"metricTarget", static_cast<double>(one.metricTargetMillionths) / kMillion},
        {"timeZone", toJsonText(one.timeZone)}};
    policy[words.least] = one.least;
    policy[words.most] = one.most;
    out.push_back(std::move(policy));
  }
  return out;
}

json::object configJson(const Call& call, const ResourceId& id, const MinimumConfig& config,
                        const Words& words) {
  // Under the other operation's name there is nothing.
  const auto* set = call.conductor.catalog().resources().find<MinimumConfig>(id.owner, id.name);
  conductor::MinimumStatus status;
  if (set != nullptr && set->scaling == words.scaling) {
    status = call.conductor.minimumStatus(id.owner, id.name);
  }
  json::object out{{"functionArn", functionArn(id.owner, call.region(), id.name)},
                   {"currentError", toJsonText(status.error)}};
  out[words.minimum] = config.minimum;
  out[words.current] = status.current;
  out[words.target] = status.target;
  out[words.schedules] = schedulesJson(config);
  out[words.tracking] = trackingJson(config, words);
  if (words.scaling) {
    out["enableOnDemandScaling"] = config.onDemandScaling;
    out["enableMixMode"] = false;
    if (!config.dispatchPolicy.empty()) {
      out["requestDispatchPolicy"] = toJsonText(config.dispatchPolicy);
    }
  } else {
    out["alwaysAllocateCPU"] = config.alwaysCpu;
    out["alwaysAllocateGPU"] = config.alwaysGpu;
  }
  return out;
}

// A count of instances, in 0–10000.
int readCount(const Reader& in, std::string_view key) {
  const auto value = in.integer(key).value_or(0);
  if (value >= 0 && value <= kMostTarget) return static_cast<int>(value);
  in.complain(key, fmt::format("{} is not in 0–{}", value, kMostTarget));
  return 0;
}

template <typename Policy>
void readSpan(const Reader& in, Policy& out) {
  out.name = in.text("name").value_or("");
  if (out.name.empty()) in.complain("name", "is required");
  out.timeZone = in.text("timeZone").value_or("");
  if (auto zone = TimeZone::find(out.timeZone); !zone) {
    return in.complain("timeZone", zone.error().message);
  }
  const auto time = [&](std::string_view key, std::optional<WallTime>& into, std::string& written) {
    const auto text = in.text(key);
    if (!text || text->empty()) return;
    auto read = parseZonedTime(*text, out.timeZone);
    if (read) {
      into = *read;
      written = *text;
    } else {
      in.complain(key, read.error().message);
    }
  };
  time("startTime", out.start, out.startText);
  time("endTime", out.end, out.endText);
  if (out.start && out.end && *out.start >= *out.end) {
    in.complain("endTime", "is not after startTime");
  }
}

ScheduledTarget readSchedule(const Reader& in) {
  ScheduledTarget out;
  readSpan(in, out);
  out.expression = in.text("scheduleExpression").value_or("");
  out.target = readCount(in, "target");
  if (!in.has("target")) in.complain("target", "is required");
  const bool form = out.expression.starts_with("cron(") || out.expression.starts_with("at(");
  if (!form) {
    in.complain("scheduleExpression",
                fmt::format("'{}' is neither cron(…) nor at(…)", out.expression));
  } else if (auto times = Schedule::parse(out.expression, ""); !times) {
    in.complain("scheduleExpression", times.error().message);
  }
  return out;
}

TrackingPolicy readTracking(const Reader& in, const Words& words) {
  constexpr std::string_view kMetrics[] = {kConcurrencyMetric, kCpuMetric, kGpuMemoryMetric};
  TrackingPolicy out;
  readSpan(in, out);
  out.metric = in.text("metricType").value_or("");
  if (std::ranges::find(kMetrics, out.metric) == std::end(kMetrics)) {
    in.complain("metricType", fmt::format("'{}' is not measured here; use {}", out.metric,
                                          fmt::join(kMetrics, ", ")));
  }
  const double aim = in.number("metricTarget").value_or(0);
  if (!(aim > 0 && aim <= 1)) in.complain("metricTarget", fmt::format("{} is not in (0, 1]", aim));
  out.metricTargetMillionths = std::llround(aim * kMillion);
  out.least = readCount(in, words.least);
  out.most = readCount(in, words.most);
  if (out.most < std::max(out.least, 1)) {
    in.complain(words.most, fmt::format("{} is below {}", out.most, std::max(out.least, 1)));
  }
  return out;
}

// Policies are told apart by their names.
template <typename Policy>
void checkNames(const Reader& in, std::string_view key, const std::vector<Policy>& policies) {
  std::set<std::string_view> names;
  for (const Policy& one : policies) {
    if (!names.insert(one.name).second) {
      in.complain(key, fmt::format("the name '{}' is there twice", one.name));
    }
  }
}

void readPolicies(const Reader& in, const Words& words, MinimumConfig& out) {
  for (const Reader& one : in.objects(words.schedules).value_or(std::vector<Reader>())) {
    out.schedules.push_back(readSchedule(one));
  }
  for (const Reader& one : in.objects(words.tracking).value_or(std::vector<Reader>())) {
    out.tracking.push_back(readTracking(one, words));
  }
  if (out.schedules.size() > kMostPolicies || out.tracking.size() > kMostPolicies) {
    in.complain(words.schedules, fmt::format("more than {} policies", kMostPolicies));
  }
  checkNames(in, words.schedules, out.schedules);
  checkNames(in, words.tracking, out.tracking);
}

Result<MinimumConfig> readConfig(const Call& call, const Words& words) {
  auto object = parseObject(call.body, "body");
  if (!object) return fail(object.error());
  Complaints complaints;
  const Reader in(*object, complaints);
  MinimumConfig out;
  out.scaling = words.scaling;
  // `target` is the old name of defaultTarget.
  const bool old = !words.scaling && !in.has(words.minimum) && in.has("target");
  out.minimum = readCount(in, old ? "target" : words.minimum);
  readPolicies(in, words, out);
  if (words.scaling) {
    out.onDemandScaling = in.boolean("enableOnDemandScaling").value_or(true);
    if (!out.onDemandScaling) {
      in.complain("enableOnDemandScaling",
                  "false is not offered; use disableOndemand of the function");
    }
    out.dispatchPolicy = in.text("requestDispatchPolicy").value_or("");
    if (out.dispatchPolicy.size() > kDispatchPolicyMost) {
      in.complain("requestDispatchPolicy",
                  fmt::format("has {} characters, allowed {}", out.dispatchPolicy.size(),
                              kDispatchPolicyMost));
    }
    for (std::string_view key : {"residentPoolId", "enableMixMode"}) {
      if (in.hasValue(key)) in.complain(key, "there are no resident pools here; leave it out");
    }
  } else {
    out.alwaysCpu = in.boolean("alwaysAllocateCPU").value_or(true);
    out.alwaysGpu = in.boolean("alwaysAllocateGPU").value_or(true);
  }
  if (auto verdict = complaints.verdict(); !verdict) return fail(verdict.error());
  return out;
}

int mostOf(const MinimumConfig& config) {
  int most = config.minimum;
  for (const auto& one : config.schedules) most = std::max(most, one.target);
  for (const auto& one : config.tracking) most = std::max(most, one.most);
  return most;
}

// What could never be kept is refused at once, with the quota that forbids it.
Result<void> checkQuota(const Call& call, const MinimumConfig& config) {
  const Function* function = call.conductor.catalog().find(call.function());
  const auto quotas = call.conductor.quotas(call.account);
  const bool gpu = function != nullptr && function->spec.gpu.has_value();
  const int limit = gpu ? std::min(quotas.cards, quotas.instances) : quotas.instances;
  if (mostOf(config) <= limit) return {};
  return fail(
      ErrorKind::Invalid,
      fmt::format("{} instances are more than the account quota '{}' of {}", mostOf(config),
                  gpu && quotas.cards <= quotas.instances ? "GPU cards" : "instances", limit),
      "LimitExceededError");
}

bool hasInstanceMetrics(const FunctionSpec& spec) {
  if (spec.inertFields.empty()) return false;
  const json::object fields = json::parse(spec.inertFields).get_object();
  Complaints ignored;  // it was read before
  const auto config = Reader(fields, ignored).object("logConfig");
  return config && config->boolean("enableInstanceMetrics").value_or(false);
}

// What a policy follows has to be measured (Function Compute: auto scaling of minimum instances).
// Concurrency always is.
Result<void> checkMetrics(const Call& call, const MinimumConfig& config) {
  const Function* function = call.conductor.catalog().find(call.function());
  for (const TrackingPolicy& policy : config.tracking) {
    if (policy.metric == kConcurrencyMetric) continue;
    if (!hasInstanceMetrics(function->spec)) {
      return fail(
          ErrorKind::Invalid,
          fmt::format("metricType: {} needs logConfig.enableInstanceMetrics of function '{}'",
                      policy.metric, function->ref.name),
          "InstanceMetricsRequired");
    }
    if (policy.metric != kGpuMemoryMetric) continue;
    if (!function->spec.gpu || !call.conductor.measuresGpuMemory()) {
      return fail(ErrorKind::Invalid,
                  fmt::format("metricType: {} is not measured: {}", policy.metric,
                              function->spec.gpu ? "the cards of this machine are simulated"
                                                 : "the function has no gpuConfig"),
                  "InvalidArgument");
    }
  }
  return {};
}

// One of the two operations at a time (Function Compute: auto scaling of minimum instances).
Result<void> checkOther(const MinimumConfig* current, const Words& words) {
  if (current == nullptr || current->scaling == words.scaling || mostOf(*current) == 0) return {};
  if (words.scaling) {
    return fail(ErrorKind::AlreadyExists,
                "a provision config is set; delete it before a scaling config is put",
                "ProvisionConfigExist");
  }
  return fail(ErrorKind::AlreadyExists,
              "a scaling config is set; delete it before a provision config is put",
              "ResidentScalingConfigExists");
}

Result<Answer> serveMinimum(const Call& call, const Words& words) {
  auto qualifier = qualifierOf(call);
  if (!qualifier) return fail(qualifier.error());
  auto& resources = call.conductor.catalog().resources();
  const ResourceId id{call.function(), *qualifier};
  if (resources.find<Version>(id.owner, id.name) != nullptr) {
    return fail(ErrorKind::Invalid,
                fmt::format("qualifier: '{}' is a version; use LATEST or an alias", *qualifier),
                "InvalidArgument");
  }
  const auto* current = resources.find<MinimumConfig>(id.owner, id.name);
  const bool ours = current != nullptr && current->scaling == words.scaling;
  MinimumConfig config;
  config.scaling = words.scaling;
  if (ours) config = *current;
  if (call.method == "PUT") {
    auto read = readConfig(call, words);
    if (!read) return fail(read.error());
    if (auto other = checkOther(current, words); !other) return fail(other.error());
    if (auto within = checkQuota(call, *read); !within) return fail(within.error());
    if (auto known = checkMetrics(call, *read); !known) return fail(known.error());
    if (auto put = resources.put(id, *read); !put) return fail(put.error());
    call.conductor.applyMinimums();
    config = std::move(*read);
  } else if (call.method == "DELETE") {
    // Deleting what is not set leaves it not set.
    if (ours) {
      if (auto gone = resources.remove<MinimumConfig>(id); !gone) return fail(gone.error());
      call.conductor.applyMinimums();
    }
    return noContent();
  } else if (call.method != "GET") {
    return notSupported(call);
  } else if (!ours) {
    return ok(json::serialize(configJson(call, {id.owner, id.name}, config, words)));
  }
  return ok(json::serialize(configJson(call, id, config, words)));
}

Result<Answer> listMinimums(const Call& call, const Words& words, std::string_view key) {
  const std::string* only = call.parameter("functionName");
  NamedItems items;
  for (const auto& entry : call.conductor.catalog().resources().all<MinimumConfig>()) {
    const ResourceId& id = entry.first;
    if (id.owner.account != call.account || entry.second->scaling != words.scaling) continue;
    if (only != nullptr && id.owner.name != *only) continue;
    items.emplace_back(id.owner.name + "/" + id.name, [&call, &words, id, c = entry.second] {
      return configJson(call, id, *c, words);
    });
  }
  return answerPage(call, key, items);
}

json::object capJson(const Call& call, const FunctionRef& ref, const ConcurrencyCap& cap) {
  return {{"functionArn", functionArn(ref, call.region())}, {"reservedConcurrency", cap.reserved}};
}

Result<Answer> putCap(const Call& call) {
  auto object = parseObject(call.body, "body");
  if (!object) return fail(object.error());
  Complaints complaints;
  const Reader in(*object, complaints);
  if (!in.has("reservedConcurrency")) in.complain("reservedConcurrency", "is required");
  const std::int64_t asked = in.integer("reservedConcurrency").value_or(0);
  auto& resources = call.conductor.catalog().resources();
  // At most nine tenths of the quota, over all functions (Function Compute: limits).
  std::int64_t others = 0;
  for (const auto& [id, cap] : resources.all<ConcurrencyCap>()) {
    if (id.owner.account == call.account && id.owner != call.function()) others += cap->reserved;
  }
  const std::int64_t most = call.conductor.quotas(call.account).instances * 9 / 10;
  if (asked < 0 || asked > kMostTarget) {
    in.complain("reservedConcurrency", fmt::format("{} is not in 0–{}", asked, most));
  }
  if (auto verdict = complaints.verdict(); !verdict) return fail(verdict.error());
  if (asked + others > most) {
    return fail(ErrorKind::Invalid,
                fmt::format("reservedConcurrency: {} and {} of other functions are more than {}, "
                            "nine tenths of the account quota 'instances'",
                            asked, others, most),
                "LimitExceededError");
  }
  const ConcurrencyCap cap{static_cast<int>(asked)};
  if (auto put = resources.put({call.function(), {}}, cap); !put) return fail(put.error());
  call.conductor.applyCap(call.function());
  return ok(json::serialize(capJson(call, call.function(), cap)));
}

}  // namespace

Result<Answer> serveProvisionConfig(const Call& call) {
  return serveMinimum(call, kProvision);
}
Result<Answer> serveScalingConfig(const Call& call) {
  return serveMinimum(call, kScaling);
}
Result<Answer> listProvisionConfigs(const Call& call) {
  return listMinimums(call, kProvision, "provisionConfigs");
}
Result<Answer> listScalingConfigs(const Call& call) {
  return listMinimums(call, kScaling, "scalingConfigs");
}

Result<Answer> serveConcurrency(const Call& call) {
  auto& resources = call.conductor.catalog().resources();
  if (call.method == "PUT") return putCap(call);
  const auto* cap = resources.find<ConcurrencyCap>(call.function());
  if (cap == nullptr) {
    return fail(ErrorKind::NotFound,
                fmt::format("function '{}' has no concurrency configuration", call.path[1]),
                "OnDemandConfigNotFound");
  }
  if (call.method == "GET") return ok(json::serialize(capJson(call, call.function(), *cap)));
  if (call.method != "DELETE") return notSupported(call);
  auto gone = resources.remove<ConcurrencyCap>({call.function(), {}});
  if (!gone) return fail(gone.error());
  call.conductor.applyCap(call.function());
  return noContent();
}

Result<Answer> listConcurrencyConfigs(const Call& call) {
  const std::string* only = call.parameter("functionName");
  NamedItems items;
  for (const auto& entry : call.conductor.catalog().resources().all<ConcurrencyCap>()) {
    const FunctionRef& ref = entry.first.owner;
    if (ref.account != call.account || (only != nullptr && ref.name != *only)) continue;
    items.emplace_back(ref.name,
                       [&call, ref, cap = entry.second] { return capJson(call, ref, *cap); });
  }
  return answerPage(call, "configs", items);
}

}  // namespace okibi::api
