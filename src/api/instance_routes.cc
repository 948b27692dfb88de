// ListInstances (Function Compute: API): the live instances of a function.

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "api/call.h"
#include "api/json_reader.h"

namespace okibi::api {
namespace {

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

json::object instanceJson(const conductor::InstanceStatus& instance) {
  const bool latest = instance.version == kLatest;
  return {{"instanceId", toJsonText(instance.name)},
          {"versionId", latest ? "0" : instance.version},
          {"qualifier", instance.version},
          {"status", statusOf(instance)},
          {"resourceType", instance.card ? "gpu" : "cpu"},
          {"createdTimeMs", instance.created.time_since_epoch().count()}};
}

bool contains(const std::vector<std::string>& list, std::string_view wanted) {
  return list.empty() || std::ranges::find(list, wanted) != list.end();
}

}  // namespace

Result<Answer> serveInstances(const Call& call) {
  if (call.path.size() != 3 || call.method != "GET") return notSupported(call);
  auto ids = texts(call, "instanceIds");
  if (!ids) return fail(ids.error());
  auto statuses = texts(call, "instanceStatus");
  if (!statuses) return fail(statuses.error());
  const auto from = milliseconds(call, "startTimeMs", 0);
  if (!from) return fail(from.error());
  const auto to = milliseconds(call, "endTimeMs", INT64_MAX);
  if (!to) return fail(to.error());
  const auto limit = limitOf(call, 100, 1000);
  if (!limit) return fail(limit.error());
  const std::string* startKey = call.parameter("startKey");
  std::optional<std::string> version;
  if (call.parameter("qualifier") != nullptr) {
    auto qualifier = qualifierOf(call);
    if (!qualifier) return fail(qualifier.error());
    const auto* alias =
        call.conductor.catalog().resources().find<Alias>(call.function(), *qualifier);
    version = alias != nullptr ? alias->versionId : *qualifier;
  }
  auto all = call.conductor.instances();
  std::ranges::sort(all, {}, &conductor::InstanceStatus::name);
  json::array out;
  for (const conductor::InstanceStatus& one : all) {
    const std::int64_t created = one.created.time_since_epoch().count();
    const bool asked = one.account == call.account && one.function == call.path[1] &&
                       (!version || one.version == *version) && contains(*ids, one.name) &&
                       contains(*statuses, statusOf(one)) && created >= *from && created <= *to &&
                       (startKey == nullptr || one.name > *startKey);
    if (asked && out.size() < *limit) out.push_back(instanceJson(one));
  }
  return ok(
      json::serialize(json::object{{"instances", std::move(out)}, {"requestId", call.requestId}}));
}

}  // namespace okibi::api
