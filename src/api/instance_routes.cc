// ListInstances (Function Compute: API): the live instances of a function, and those that ended.
//
// Without more, the live ones. A window of time (startTimeMs, endTimeMs) asks for those that lived
// in it, ended ones too; withAllActive adds all live ones to it. Ended ones also come when they are
// asked for by status or by id. Pages: startKey is the last instanceId of the page before.

#include <algorithm>
#include <charconv>
#include <set>

#include <fmt/format.h>

#include "api/call.h"
#include "api/json_reader.h"
#include "conductor/clock.h"

namespace okibi::api {
namespace {

constexpr std::string_view kDestroyed = "Destroyed";

// The planner's states in Function Compute's words (Function Compute: instance lifecycle).
std::string_view statusOf(const conductor::InstanceStatus& instance) {
  const std::string& state = instance.state;
  if (state == "placing" || state == "starting" || state == "initializing") return "Creating";
  return state == "stopping" ? "Destroying" : "Running";
}

Result<std::vector<std::string>> texts(const Call& call, const char* key) {
  const std::string* text = call.parameter(key);
  if (text == nullptr) return std::vector<std::string>();
  auto object = parseObject(fmt::format(R"({{"{}":{}}})", key, *text), key);
  if (!object) return fail(object.error());
  Complaints complaints;
  auto list = Reader(*object, complaints).texts(key);
  if (auto verdict = complaints.verdict(); !verdict) return fail(verdict.error());
  return list.value_or(std::vector<std::string>());
}

Result<std::int64_t> milliseconds(const Call& call, const char* key, std::int64_t fallback) {
  const std::string* text = call.parameter(key);
  if (text == nullptr) return fallback;
  std::int64_t value = 0;
  const char* end = text->data() + text->size();
  const auto [stop, error] = std::from_chars(text->data(), end, value);
  if (error == std::errc() && stop == end) return value;
  return fail(ErrorKind::Invalid,
              fmt::format("{}: '{}' is not a number of milliseconds since 1970", key, *text),
              "InvalidArgument");
}

std::int64_t count(WallTime time) {
  return time.time_since_epoch().count();
}

// One that lives, or has ended.
struct Listed {
  std::string name, version;
  std::string_view status, resource;
  std::int64_t created = 0;
  std::optional<std::int64_t> destroyed = std::nullopt;
};

Listed listed(const conductor::InstanceStatus& one) {
  return {one.name, one.version, statusOf(one), one.card ? "gpu" : "cpu", count(one.created)};
}

Listed listed(const seams::EndedInstance& one) {
  return {one.name,           one.version,     kDestroyed, one.gpuType.empty() ? "cpu" : "gpu",
          count(one.created), count(one.ended)};
}

json::object instanceJson(const Listed& instance) {
  json::object out{{"instanceId", toJsonText(instance.name)},
                   {"versionId", instance.version == kLatest ? "0" : instance.version},
                   {"qualifier", instance.version},
                   {"status", instance.status},
                   {"resourceType", instance.resource},
                   {"createdTimeMs", instance.created}};
  if (instance.destroyed) out["destroyedTimeMs"] = *instance.destroyed;
  return out;
}

bool contains(const std::vector<std::string>& list, std::string_view wanted) {
  return list.empty() || std::ranges::find(list, wanted) != list.end();
}

// What is asked for; an empty list asks for all.
struct Filter {
  std::vector<std::string> ids, statuses, versions;
  std::int64_t from = 0, to = INT64_MAX;
  bool hasWindow = false, allActive = false;
  std::string startKey;

  bool wantsEnded() const {
    if (!statuses.empty()) return contains(statuses, kDestroyed);
    return hasWindow || !ids.empty();
  }
  bool takes(const Listed& one) const {
    if (!contains(versions, one.version) || !contains(ids, one.name)) return false;
    if (!contains(statuses, one.status) || one.name <= startKey) return false;
    if (!one.destroyed && allActive) return true;
    return one.created <= to && one.destroyed.value_or(INT64_MAX) >= from;
  }
};

Result<void> readWindow(const Call& call, Filter& filter) {
  const auto from = milliseconds(call, "startTimeMs", 0);
  if (!from) return fail(from.error());
  const auto to = milliseconds(call, "endTimeMs", INT64_MAX);
  if (!to) return fail(to.error());
  if (*from > *to) {
    return fail(ErrorKind::Invalid,
                fmt::format("startTimeMs: {} is after endTimeMs, {}", *from, *to),
                "InvalidArgument");
  }
  filter.from = *from;
  filter.to = *to;
  filter.hasWindow =
      call.parameter("startTimeMs") != nullptr || call.parameter("endTimeMs") != nullptr;
  return {};
}

Result<Filter> readFilter(const Call& call) {
  Filter filter;
  auto ids = texts(call, "instanceIds");
  if (!ids) return fail(ids.error());
  filter.ids = std::move(*ids);
  auto statuses = texts(call, "instanceStatus");
  if (!statuses) return fail(statuses.error());
  filter.statuses = std::move(*statuses);
  if (auto window = readWindow(call, filter); !window) return fail(window.error());
  const auto allActive = flagOf(call, "withAllActive");
  if (!allActive) return fail(allActive.error());
  filter.allActive = *allActive;
  if (const std::string* key = call.parameter("startKey")) filter.startKey = *key;
  const std::string* qualifier = call.parameter("qualifier");
  if (qualifier == nullptr) return filter;
  auto versions = call.conductor.versionsOf(call.function(), *qualifier);
  if (!versions) return fail(versions.error());
  filter.versions = std::move(*versions);
  return filter;
}

// By id. What ends while the ended ones are read is among them, or was live before.
net::Task<Result<std::vector<Listed>>> allOf(const Call& call, const Filter& filter) {
  std::vector<Listed> all;
  std::set<std::string> gone;
  const auto live = call.conductor.instances();
  if (filter.wantsEnded()) {
    auto ended = co_await call.conductor.accounting().endedInstances(
        call.account, call.path[1], conductor::wallNow(), limits::kEndedInstances);
    if (!ended) co_return fail(ended.error());
    for (const seams::EndedInstance& one : *ended) {
      all.push_back(listed(one));
      gone.insert(one.name);
    }
  }
  for (const conductor::InstanceStatus& one : live) {
    const bool mine = one.account == call.account && one.function == call.path[1];
    if (mine && !gone.contains(one.name)) all.push_back(listed(one));
  }
  std::ranges::sort(all, {}, &Listed::name);
  co_return all;
}

}  // namespace

net::Task<Result<Answer>> serveInstances(const Call& call) {
  if (call.path.size() != 3 || call.method != "GET") co_return notSupported(call);
  auto function = call.conductor.catalog().get(call.function());
  if (!function) co_return fail(function.error());
  const auto filter = readFilter(call);
  if (!filter) co_return fail(filter.error());
  const auto limit = limitOf(call, 100, 1000);
  if (!limit) co_return fail(limit.error());
  const auto all = co_await allOf(call, *filter);
  if (!all) co_return fail(all.error());
  json::array out;
  for (const Listed& one : *all) {
    if (filter->takes(one) && out.size() < *limit) out.push_back(instanceJson(one));
  }
  co_return ok(
      json::serialize(json::object{{"instances", std::move(out)}, {"requestId", call.requestId}}));
}

}  // namespace okibi::api
