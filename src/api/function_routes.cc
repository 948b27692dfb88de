#include <algorithm>

#include <fmt/format.h>

#include "api/call.h"
#include "api/function_json.h"
#include "api/json_reader.h"

namespace okibi::api {
namespace {

using conductor::ResourceMap;

std::string wholeFunction(const Call& call, const Function& function) {
  const auto* restriction =
      call.conductor.catalog().resources().find<InvocationRestriction>(function.ref);
  return functionJson(function, {call.region(), {}, restriction}, FunctionView::Full);
}

// What the qualifier stands for now. A version was active when it was published.
std::string publishedFunction(const Call& call, Function function, const std::string& qualifier) {
  const ResourceMap& resources = call.conductor.catalog().resources();
  const Alias* alias = resources.find<Alias>(function.ref, qualifier);
  const std::string& id = alias ? alias->versionId : qualifier;
  if (const Version* version = resources.find<Version>(function.ref, id)) {
    function.spec = version->spec;
    function.active = version->spec;
    function.imageDigest = version->imageDigest;
    function.state = FunctionState::Active;
    function.lastUpdate = UpdateStatus::Successful;
    function.created = function.modified = version->created;
  }
  const auto* restriction = resources.find<InvocationRestriction>(function.ref);
  return functionJson(function, {call.region(), qualifier, restriction}, FunctionView::Full);
}

// Who acts for a role deploys for no other: else it could do whatever any role may.
Result<void> mayPassRole(const Call& call, const FunctionSpec& spec) {
  const std::string role = conductor::roleUseOf(spec, call.account).name;
  if (call.role.empty() || role.empty() || role == call.role) return {};
  return fail(ErrorKind::Denied,
              fmt::format("role '{}' deploys no functions of role '{}'", call.role, role),
              "AccessDenied");
}

Result<Answer> create(const Call& call) {
  auto spec = readNewFunction(call.body);
  if (!spec) return fail(spec.error());
  if (auto may = mayPassRole(call, *spec); !may) return fail(may.error());
  auto function = call.conductor.create(call.account, std::move(*spec));
  if (!function) return fail(function.error());
  return ok(wholeFunction(call, **function));
}

Result<Answer> get(const Call& call) {
  auto function = call.conductor.catalog().get(call.function());
  if (!function) return fail(function.error());
  const std::string* qualifier = call.parameter("qualifier");
  if (qualifier == nullptr) return ok(wholeFunction(call, **function));
  auto exists = call.conductor.checkQualifier(call.function(), *qualifier);
  if (!exists) return fail(exists.error());
  return ok(publishedFunction(call, **function, *qualifier));
}

Result<Answer> update(const Call& call) {
  auto function = call.conductor.catalog().get(call.function());
  if (!function) return fail(function.error());
  auto spec = readFunctionUpdate(call.body, (*function)->spec);
  if (!spec) return fail(spec.error());
  for (const FunctionSpec* one : {&(*function)->spec, &std::as_const(*spec)}) {
    if (auto may = mayPassRole(call, *one); !may) return fail(may.error());
  }
  auto updated = call.conductor.update(call.function(), std::move(*spec));
  if (!updated) return fail(updated.error());
  return ok(wholeFunction(call, **updated));
}

Result<Answer> remove(const Call& call) {
  if (auto found = call.conductor.catalog().get(call.function()); !found) {
    return fail(found.error());
  }
  if (auto removed = call.conductor.remove(call.function()); !removed) return fail(removed.error());
  return noContent();
}

// The filters of ListFunctions beside prefix.
struct Filter {
  std::string name, description, runtime, gpuType, fcVersion;
  std::map<std::string, std::string> tags;

  bool admits(const FunctionSpec& spec) const {
    const bool tagged = std::ranges::all_of(tags, [&](const auto& tag) {
      const auto found = spec.tags.find(tag.first);
      return found != spec.tags.end() && (tag.second.empty() || found->second == tag.second);
    });
    return tagged && spec.name.find(name) != std::string::npos &&
           spec.description.find(description) != std::string::npos &&
           (runtime.empty() || spec.runtime == runtime) &&
           (gpuType.empty() || (spec.gpu && spec.gpu->type == gpuType)) && fcVersion != "v2";
  }
};

Result<Filter> readFilter(const Call& call) {
  const auto word = [&](const char* key) {
    const std::string* value = call.parameter(key);
    return value == nullptr ? std::string() : *value;
  };
  Filter filter{word("functionName"), word("description"), word("runtime"),
                word("gpuType"),      word("fcVersion"),   {}};
  const std::string* tags = call.parameter("tags");
  if (tags == nullptr) return filter;
  auto object = parseObject(fmt::format(R"({{"tags":{}}})", *tags), "tags");
  if (!object) return fail(object.error());
  Complaints complaints;
  const auto list = Reader(*object, complaints).objects("tags");
  for (const Reader& tag : list.value_or(std::vector<Reader>())) {
    if (!tag.has("Key")) tag.complain("Key", "is required");
    filter.tags[tag.text("Key").value_or("")] = tag.text("Value").value_or("");
  }
  if (auto verdict = complaints.verdict(); !verdict) return fail(verdict.error());
  return filter;
}

Result<Answer> list(const Call& call) {
  const auto limit = limitOf(call, 20, 100);
  if (!limit) return fail(limit.error());
  const auto filter = readFilter(call);
  if (!filter) return fail(filter.error());
  const std::string* prefix = call.parameter("prefix");
  const std::string* token = call.parameter("nextToken");
  const auto all = call.conductor.catalog().list(call.account, prefix ? *prefix : "",
                                                 token ? *token : "", SIZE_MAX);
  std::string out = R"({"functions":[)", last;
  std::size_t count = 0;
  for (const Function* function : all) {
    if (!filter->admits(function->spec)) continue;
    if (count == *limit) {
      // One more follows, so the token (the last name shown) is not idle.
      return ok(out + R"(],"nextToken":")" + last + R"("})");
    }
    if (count++ > 0) out += ',';
    out += functionJson(*function, {call.region()}, FunctionView::Listed);
    last = function->ref.name;
  }
  return ok(out + "]}");
}

}  // namespace

Result<Answer> serveFunctions(const Call& call) {
  const std::size_t depth = call.path.size();
  if (depth == 1) {
    if (call.method == "POST") return create(call);
    if (call.method == "GET") return list(call);
  } else if (depth == 2) {
    if (call.method == "GET") return get(call);
    if (call.method == "PUT") return update(call);
    if (call.method == "DELETE") return remove(call);
  }
  return notSupported(call);
}

}  // namespace okibi::api
