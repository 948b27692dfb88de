#include "api/trigger_json.h"

#include <fmt/format.h>

#include "api/json_reader.h"
#include "base/encoding.h"

namespace okibi::api {
namespace {

std::string toUpper(std::string text) {
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

void readAuth(const Reader& in, HttpTriggerConfig& out) {
  const auto type = in.text("authType");
  // No default: a URL that is open to everybody has to be asked for.
  if (!in.has("authType")) return in.complain("authType", "is required: anonymous or function");
  if (!type) return;
  if (*type == "anonymous") {
    out.auth = HttpAuth::Anonymous;
  } else if (*type == "function") {
    out.auth = HttpAuth::Function;
  } else {
    in.complain("authType", fmt::format("'{}' is not offered; use anonymous or function", *type));
  }
}

Result<HttpTriggerConfig> readConfig(std::string_view text) {
  auto object = parseObject(text, "triggerConfig");
  if (!object) return fail(object.error());
  Complaints complaints;
  const Reader in(*object, complaints, "triggerConfig");
  HttpTriggerConfig out;
  readAuth(in, out);
  if (!in.has("methods")) in.complain("methods", "is required");
  for (std::string& method : in.texts("methods").value_or(std::vector<std::string>())) {
    out.methods.push_back(toUpper(std::move(method)));
  }
  out.internetDisabled = in.boolean("disableURLInternet").value_or(false);
  for (std::string_view key : {"authConfig", "corsConfig"}) {
    if (in.hasValue(key)) in.complain(key, "is not offered; leave it out");
  }
  if (auto verdict = complaints.verdict(); !verdict) return fail(verdict.error());
  return out;
}

Result<void> readCommon(const Reader& in, Complaints& complaints, Trigger& trigger) {
  if (const auto text = in.text("description")) trigger.description = *text;
  if (const auto text = in.text("qualifier"); text && !text->empty()) trigger.qualifier = *text;
  const auto config = in.text("triggerConfig");
  if (auto verdict = complaints.verdict(); !verdict) return verdict;
  if (!config || trigger.type != "http") return {};
  auto http = readConfig(*config);
  if (!http) return fail(http.error());
  trigger.http = std::move(*http);
  trigger.configText = *config;
  return {};
}

}  // namespace

Result<Trigger> readNewTrigger(std::string_view text) {
  auto object = parseObject(text, "body");
  if (!object) return fail(object.error());
  Complaints complaints;
  const Reader in(*object, complaints);
  for (std::string_view key : {"triggerName", "triggerType", "triggerConfig"}) {
    if (!in.has(key)) in.complain(key, "is required");
  }
  Trigger trigger;
  trigger.name = in.text("triggerName").value_or("");
  trigger.type = in.text("triggerType").value_or("");
  if (auto read = readCommon(in, complaints, trigger); !read) return fail(read.error());
  return trigger;
}

Result<Trigger> readTriggerUpdate(std::string_view text, const Trigger& current) {
  auto object = parseObject(text, "body");
  if (!object) return fail(object.error());
  Complaints complaints;
  Trigger trigger = current;
  if (auto read = readCommon(Reader(*object, complaints), complaints, trigger); !read) {
    return fail(read.error());
  }
  return trigger;
}

std::string triggerJson(const Trigger& trigger, std::string_view arn, std::string_view listen) {
  const std::string url = fmt::format("http://{}/trigger/{}/", listen, trigger.id);
  json::object http{{"urlIntranet", url}};
  if (!trigger.http.internetDisabled) http["urlInternet"] = url;
  return json::serialize(json::object{{"triggerId", trigger.id},
                                      {"triggerName", toJsonText(trigger.name)},
                                      {"triggerType", toJsonText(trigger.type)},
                                      {"triggerConfig", toJsonText(trigger.configText)},
                                      {"qualifier", toJsonText(trigger.qualifier)},
                                      {"description", toJsonText(trigger.description)},
                                      {"targetArn", arn},
                                      {"status", ""},
                                      {"createdTime", formatIso8601(trigger.created)},
                                      {"lastModifiedTime", formatIso8601(trigger.modified)},
                                      {"httpTrigger", std::move(http)}});
}

}  // namespace okibi::api
