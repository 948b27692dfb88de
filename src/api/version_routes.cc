// Versions, aliases, and the switch that forbids calling a function (Function Compute: API).

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "api/call.h"
#include "api/json_reader.h"
#include "base/encoding.h"
#include "conductor/clock.h"
#include "model/validation.h"

namespace okibi::api {
namespace {

constexpr double kMillion = 1e6;

json::object versionJson(const std::string& id, const Version& version) {
  return {{"versionId", id},
          {"description", toJsonText(version.description)},
          {"createdTime", formatIso8601(version.created)},
          {"lastModifiedTime", formatIso8601(version.created)}};
}

// An empty body is an empty object.
Result<json::object> bodyObject(const Call& call) {
  if (call.body.empty()) return json::object();
  return parseObject(call.body, "body");
}

Result<Answer> publish(const Call& call) {
  auto object = bodyObject(call);
  if (!object) return fail(object.error());
  Complaints complaints;
  const Reader in(*object, complaints);
  std::string description = in.text("description").value_or("");
  if (auto verdict = complaints.verdict(); !verdict) return fail(verdict.error());
  auto id = call.conductor.publish(call.function(), std::move(description));
  if (!id) return fail(id.error());
  const auto& resources = call.conductor.catalog().resources();
  return ok(json::serialize(versionJson(*id, *resources.find<Version>(call.function(), *id))));
}

std::int64_t numberOf(const std::string& id) {
  std::int64_t number = 0;
  std::from_chars(id.data(), id.data() + id.size(), number);
  return number;
}

Result<Answer> listVersions(const Call& call) {
  const std::string* asked = call.parameter("direction");
  const std::string direction = asked == nullptr ? "BACKWARD" : *asked;
  if (direction != "FORWARD" && direction != "BACKWARD") {
    return fail(ErrorKind::Invalid,
                fmt::format("direction: '{}' is neither FORWARD nor BACKWARD", direction),
                "InvalidArgument");
  }
  auto versions = call.conductor.catalog().resources().of<Version>(call.function());
  std::ranges::sort(versions, {}, [](const auto& entry) { return numberOf(entry.first); });
  if (direction == "BACKWARD") std::ranges::reverse(versions);
  NamedItems items;
  for (const auto& entry : versions) {
    items.emplace_back(entry.first,
                       [id = entry.first, v = entry.second] { return versionJson(id, *v); });
  }
  return answerPage(call, "versions", items, {{"direction", direction}});
}

json::object aliasJson(const std::string& name, const Alias& alias) {
  json::object weights;
  for (const auto& [version, millionths] : alias.additional) {
    weights[version] = static_cast<double>(millionths) / kMillion;
  }
  return {{"aliasName", toJsonText(name)},
          {"versionId", alias.versionId},
          {"additionalVersionWeight", std::move(weights)},
          {"description", toJsonText(alias.description)},
          {"createdTime", formatIso8601(alias.created)},
          {"lastModifiedTime", formatIso8601(alias.modified)}};
}

void readWeights(const Reader& in, Alias& alias) {
  const auto weights = in.object("additionalVersionWeight");
  if (!weights) return;
  alias.additional.clear();
  std::int64_t sum = 0;
  for (const std::string& version : weights->keys()) {
    const auto weight = weights->number(version);
    if (!weight) continue;
    if (*weight < 0 || *weight > 1) {
      weights->complain(version, fmt::format("{} is not in 0–1", *weight));
      continue;
    }
    if (version == alias.versionId) {
      weights->complain(version, "is the version of the alias itself, which gets the rest");
    }
    alias.additional[version] = std::llround(*weight * kMillion);
    sum += alias.additional[version];
  }
  if (sum > static_cast<std::int64_t>(kMillion)) {
    in.complain("additionalVersionWeight", fmt::format("the weights sum to {}, more than 1",
                                                       static_cast<double>(sum) / kMillion));
  }
}

void readAlias(const Reader& in, Alias& alias) {
  if (const auto id = in.text("versionId")) alias.versionId = *id;
  if (const auto text = in.text("description")) alias.description = *text;
  readWeights(in, alias);
}

Result<Answer> aliasAnswer(const Call& call, const std::string& name, Alias alias) {
  alias.modified = conductor::wallNow();
  if (auto put = call.conductor.putAlias(call.function(), name, alias); !put) {
    return fail(put.error());
  }
  return ok(json::serialize(aliasJson(name, alias)));
}

Result<Answer> createAlias(const Call& call) {
  auto object = parseObject(call.body, "body");
  if (!object) return fail(object.error());
  Complaints complaints;
  const Reader in(*object, complaints);
  for (std::string_view key : {"aliasName", "versionId"}) {
    if (!in.hasValue(key)) in.complain(key, "is required");
  }
  const std::string name = in.text("aliasName").value_or("");
  Alias alias;
  readAlias(in, alias);
  if (auto verdict = complaints.verdict(); !verdict) return fail(verdict.error());
  if (auto valid = validateAliasName(name); !valid) return fail(valid.error());
  if (call.conductor.catalog().resources().find<Alias>(call.function(), name) != nullptr) {
    return fail(ErrorKind::AlreadyExists, fmt::format("alias '{}' exists already", name),
                "AliasAlreadyExists");
  }
  alias.created = conductor::wallNow();
  return aliasAnswer(call, name, std::move(alias));
}

Result<Answer> updateAlias(const Call& call, const Alias& current) {
  auto object = parseObject(call.body, "body");
  if (!object) return fail(object.error());
  Complaints complaints;
  Alias alias = current;
  readAlias(Reader(*object, complaints), alias);
  if (auto verdict = complaints.verdict(); !verdict) return fail(verdict.error());
  return aliasAnswer(call, call.path[3], std::move(alias));
}

Result<Answer> listAliases(const Call& call) {
  NamedItems items;
  for (const auto& entry : call.conductor.catalog().resources().of<Alias>(call.function())) {
    items.emplace_back(entry.first,
                       [name = entry.first, a = entry.second] { return aliasJson(name, *a); });
  }
  return answerPage(call, "aliases", items);
}

}  // namespace

Result<Answer> serveVersions(const Call& call) {
  if (auto found = call.conductor.catalog().get(call.function()); !found) {
    return fail(found.error());
  }
  if (call.path.size() == 3 && call.method == "POST") return publish(call);
  if (call.path.size() == 3 && call.method == "GET") return listVersions(call);
  if (call.path.size() != 4 || call.method != "DELETE") return notSupported(call);
  auto removed = call.conductor.removeVersion(call.function(), call.path[3]);
  if (!removed) return fail(removed.error());
  return noContent();
}

Result<Answer> serveAliases(const Call& call) {
  if (auto found = call.conductor.catalog().get(call.function()); !found) {
    return fail(found.error());
  }
  if (call.path.size() == 3 && call.method == "POST") return createAlias(call);
  if (call.path.size() == 3 && call.method == "GET") return listAliases(call);
  if (call.path.size() != 4) return notSupported(call);
  if (call.method == "DELETE") {
    auto removed = call.conductor.removeAlias(call.function(), call.path[3]);
    if (!removed) return fail(removed.error());
    return noContent();
  }
  const auto* alias =
      call.conductor.catalog().resources().find<Alias>(call.function(), call.path[3]);
  if (alias == nullptr) {
    return fail(
        ErrorKind::NotFound,
        fmt::format("alias '{}' of function '{}' does not exist", call.path[3], call.path[1]),
        "AliasNotFound");
  }
  if (call.method == "GET") return ok(json::serialize(aliasJson(call.path[3], *alias)));
  if (call.method == "PUT") return updateAlias(call, *alias);
  return notSupported(call);
}

Result<Answer> serveInvocationSwitch(const Call& call) {
  const std::string act = call.path.size() == 4 ? call.path[3] : "";
  if (call.method != "POST" || (act != "enable" && act != "disable")) return notSupported(call);
  auto object = bodyObject(call);
  if (!object) return fail(object.error());
  Complaints complaints;
  const Reader in(*object, complaints);
  InvocationRestriction restriction;
  restriction.disabled = act == "disable";
  restriction.reason = in.text("reason").value_or("");
  const bool abort = in.boolean("abortOngoingRequest").value_or(false);
  if (auto verdict = complaints.verdict(); !verdict) return fail(verdict.error());
  using Ongoing = conductor::Conductor::Ongoing;
  auto done = call.conductor.restrict(call.function(), std::move(restriction),
                                      abort ? Ongoing::Abort : Ongoing::Finish);
  if (!done) return fail(done.error());
  return ok(R"({"success":true})");
}

}  // namespace okibi::api
