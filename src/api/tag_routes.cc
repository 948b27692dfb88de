// Tags of functions (Function Compute: API): POST, GET, DELETE tags-v2.

#include <algorithm>

#include <fmt/format.h>

#include "api/call.h"
#include "api/function_json.h"
#include "api/json_reader.h"
#include "base/encoding.h"

namespace okibi::api {
namespace {

constexpr std::size_t kMostTags = 20, kKeyMost = 128, kValueMost = 256;

using Tags = std::map<std::string, std::string>;

Result<void> checkType(const std::string& type) {
  if (type.empty() || equalsIgnoreCase(type, "function")) return {};
  return fail(ErrorKind::Invalid,
              fmt::format("ResourceType: '{}' has no tags here; use function", type),
              "InvalidArgument");
}

// "acs:fc:{region}:{account}:functions/{name}", or the name alone. Clients fill in the region they
// are configured with, which here says nothing: an endpoint has one.
Result<FunctionRef> resourceOf(const Call& call, const std::string& id) {
  FunctionRef ref{call.account, id};
  if (id.starts_with("acs:")) {
    constexpr std::string_view kFunctions = "functions/";
    const auto parts = split(id, ':');
    const bool ours = parts.size() == 5 && parts[1] == "fc" && parts[3] == call.account &&
                      parts[4].starts_with(kFunctions);
    if (!ours) {
      return fail(ErrorKind::NotFound, fmt::format("ResourceId: '{}' is not of this account", id),
                  "FunctionNotFound");
    }
    ref.name = parts[4].substr(kFunctions.size());
  }
  if (auto found = call.conductor.catalog().get(ref); !found) return fail(found.error());
  return ref;
}

Result<std::vector<FunctionRef>> resourcesOf(const Call& call,
                                             const std::vector<std::string>& ids) {
  std::vector<FunctionRef> out;
  for (const std::string& id : ids) {
    auto ref = resourceOf(call, id);
    if (!ref) return fail(ref.error());
    out.push_back(std::move(*ref));
  }
  return out;
}

Tags readTags(const Reader& in, std::string_view key) {
  Tags out;
  for (const Reader& tag : in.objects(key).value_or(std::vector<Reader>())) {
    const std::string name = tag.text("Key").value_or("");
    const std::string value = tag.text("Value").value_or("");
    if (name.empty() || name.size() > kKeyMost) {
      tag.complain("Key", fmt::format("must have 1–{} characters", kKeyMost));
    }
    if (value.size() > kValueMost) {
      tag.complain("Value", fmt::format("must have at most {} characters", kValueMost));
    }
    out[name] = value;
  }
  return out;
}

Result<Answer> tag(const Call& call) {
  auto object = parseObject(call.body, "body");
  if (!object) return fail(object.error());
  Complaints complaints;
  const Reader in(*object, complaints);
  for (std::string_view key : {"ResourceId", "ResourceType", "Tag"}) {
    if (!in.hasValue(key)) in.complain(key, "is required");
  }
  const auto ids = in.texts("ResourceId").value_or(std::vector<std::string>());
  const Tags tags = readTags(in, "Tag");
  const std::string type = in.text("ResourceType").value_or("");
  if (auto verdict = complaints.verdict(); !verdict) return fail(verdict.error());
  if (auto known = checkType(type); !known) return fail(known.error());
  auto refs = resourcesOf(call, ids);
  if (!refs) return fail(refs.error());
  for (const FunctionRef& ref : *refs) {
    Tags all = call.conductor.catalog().find(ref)->spec.tags;
    for (const auto& [key, value] : tags) all[key] = value;
    if (all.size() > kMostTags) {
      return fail(ErrorKind::Invalid,
                  fmt::format("Tag: function '{}' would have {} tags, allowed {}", ref.name,
                              all.size(), kMostTags),
                  "LimitExceededError");
    }
    if (auto set = call.conductor.setTags(ref, std::move(all)); !set) return fail(set.error());
  }
  return noContent();
}

// A query parameter that is a JSON list.
Result<json::object> listParameter(const Call& call, const char* key) {
  const std::string* text = call.parameter(key);
  return parseObject(fmt::format(R"({{"{}":{}}})", key, text == nullptr ? "[]" : *text), key);
}

Result<std::vector<std::string>> textsParameter(const Call& call, const char* key) {
  auto object = listParameter(call, key);
  if (!object) return fail(object.error());
  Complaints complaints;
  auto texts = Reader(*object, complaints).texts(key);
  if (auto verdict = complaints.verdict(); !verdict) return fail(verdict.error());
  return texts.value_or(std::vector<std::string>());
}

Result<Answer> untag(const Call& call) {
  const std::string* type = call.parameter("ResourceType");
  if (auto known = checkType(type == nullptr ? "" : *type); !known) return fail(known.error());
  auto ids = textsParameter(call, "ResourceId");
  if (!ids) return fail(ids.error());
  auto keys = textsParameter(call, "TagKey");
  if (!keys) return fail(keys.error());
  const std::string* all = call.parameter("All");
  const bool every = all != nullptr && *all == "true";
  if (ids->empty() || (keys->empty() && !every)) {
    return fail(ErrorKind::Invalid,
                fmt::format("{}: is required", ids->empty() ? "ResourceId" : "TagKey"),
                "InvalidArgument");
  }
  auto refs = resourcesOf(call, *ids);
  if (!refs) return fail(refs.error());
  for (const FunctionRef& ref : *refs) {
    Tags left = call.conductor.catalog().find(ref)->spec.tags;
    if (every) left.clear();
    for (const std::string& key : *keys) left.erase(key);
    if (auto set = call.conductor.setTags(ref, std::move(left)); !set) return fail(set.error());
  }
  return noContent();
}

struct TagFilter {
  std::vector<std::string> names;  // empty: every function
  Tags tags;                       // empty: every tag; an empty value: any
  bool admits(const std::string& key, const std::string& value) const {
    if (tags.empty()) return true;
    const auto found = tags.find(key);
    return found != tags.end() && (found->second.empty() || found->second == value);
  }
};

Result<TagFilter> readFilter(const Call& call) {
  TagFilter filter;
  auto ids = textsParameter(call, "ResourceId");
  if (!ids) return fail(ids.error());
  auto refs = resourcesOf(call, *ids);
  if (!refs) return fail(refs.error());
  for (const FunctionRef& ref : *refs) filter.names.push_back(ref.name);
  auto object = listParameter(call, "Tag");
  if (!object) return fail(object.error());
  Complaints complaints;
  filter.tags = readTags(Reader(*object, complaints), "Tag");
  if (auto verdict = complaints.verdict(); !verdict) return fail(verdict.error());
  return filter;
}

Result<Answer> list(const Call& call) {
  const std::string* type = call.parameter("ResourceType");
  if (auto known = checkType(type == nullptr ? "" : *type); !known) return fail(known.error());
  auto filter = readFilter(call);
  if (!filter) return fail(filter.error());
  const std::string* token = call.parameter("NextToken");
  const auto limit = limitOf(call, 50, 100, "Limit");
  if (!limit) return fail(limit.error());
  json::array page;
  std::string last, next;
  for (const Function* function : call.conductor.catalog().list(call.account, "", "", SIZE_MAX)) {
    const std::string& name = function->ref.name;
    if (!filter->names.empty() && std::ranges::find(filter->names, name) == filter->names.end()) {
      continue;
    }
    for (const auto& [key, value] : function->spec.tags) {
      const std::string place = name + "/" + key;
      if (!filter->admits(key, value) || (token != nullptr && place <= *token)) continue;
      if (page.size() == *limit) next = last;
      if (!next.empty()) break;
      page.push_back(json::object{{"ResourceId", functionArn(function->ref, call.region())},
                                  {"ResourceType", "function"},
                                  {"TagKey", toJsonText(key)},
                                  {"TagValue", toJsonText(value)}});
      last = place;
    }
  }
  json::object out{{"TagResources", std::move(page)}, {"RequestId", call.requestId}};
  if (!next.empty()) out["NextToken"] = toJsonText(next);
  return ok(json::serialize(out));
}

}  // namespace

Result<Answer> serveTags(const Call& call) {
  if (call.path.size() != 1) return notSupported(call);
  if (call.method == "POST") return tag(call);
  if (call.method == "GET") return list(call);
  if (call.method == "DELETE") return untag(call);
  return notSupported(call);
}

}  // namespace okibi::api
