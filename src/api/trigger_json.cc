#include "api/trigger_json.h"

#include <fmt/format.h>

#include "api/http_rules_json.h"
#include "api/json_reader.h"
#include "base/encoding.h"
#include "model/schedule.h"

namespace okibi::api {
namespace {

std::string toUpper(std::string text) {
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

Result<HttpTriggerConfig> readConfig(std::string_view text) {
  auto object = parseObject(text, "triggerConfig");
  if (!object) return fail(object.error());
  Complaints complaints;
  const Reader in(*object, complaints, "triggerConfig");
  HttpTriggerConfig out;
  readHttpAuth(in, complaints, out);
  if (!in.has("methods")) in.complain("methods", "is required");
  for (std::string& method : in.texts("methods").value_or(std::vector<std::string>())) {
    out.methods.push_back(toUpper(std::move(method)));
  }
  out.internetDisabled = in.boolean("disableURLInternet").value_or(false);
  readCors(in, out.cors);
  if (auto verdict = complaints.verdict(); !verdict) return fail(verdict.error());
  return out;
}

Result<TimerConfig> readTimer(std::string_view text) {
  auto object = parseObject(text, "triggerConfig");
  if (!object) return fail(object.error());
  Complaints complaints;
  const Reader in(*object, complaints, "triggerConfig");
  TimerConfig out;
  out.expression = in.text("cronExpression").value_or("");
  out.payload = in.text("payload").value_or("");
  out.enabled = in.boolean("enable").value_or(false);
  if (out.expression.empty()) {
    in.complain("cronExpression", "is required");
  } else if (auto schedule = Schedule::parse(out.expression, ""); !schedule) {
    in.complain("cronExpression", schedule.error().message);
  }
  if (auto verdict = complaints.verdict(); !verdict) return fail(verdict.error());
  return out;
}

Result<void> readCommon(const Reader& in, Complaints& complaints, Trigger& trigger) {
  if (const auto text = in.text("description")) trigger.description = *text;
  if (const auto text = in.text("invocationRole")) trigger.invocationRole = *text;
  if (const auto text = in.text("qualifier"); text && !text->empty()) trigger.qualifier = *text;
  const auto config = in.text("triggerConfig");
  if (auto verdict = complaints.verdict(); !verdict) return verdict;
  if (config && trigger.type == "timer") {
    auto timer = readTimer(*config);
    if (!timer) return fail(timer.error());
    trigger.timer = std::move(*timer);
    trigger.configText = *config;
  }
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
  trigger.sourceArn = in.text("sourceArn").value_or("");
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

std::string triggerJson(const Trigger& trigger, std::string_view arn,
                        const conductor::TriggerAddresses& addresses) {
  json::object out{{"triggerId", trigger.id},
                   {"triggerName", toJsonText(trigger.name)},
                   {"triggerType", toJsonText(trigger.type)},
                   {"triggerConfig", toJsonText(trigger.configText)},
                   {"qualifier", toJsonText(trigger.qualifier)},
                   {"description", toJsonText(trigger.description)},
                   {"invocationRole", toJsonText(trigger.invocationRole)},
                   {"sourceArn", toJsonText(trigger.sourceArn)},
                   {"targetArn", arn},
                   {"status", ""},
                   {"createdTime", formatIso8601(trigger.created)},
                   {"lastModifiedTime", formatIso8601(trigger.modified)}};
  if (trigger.type == "http") {
    using conductor::Reach;
    json::object http{{"urlIntranet", addresses.url(trigger.label, Reach::Intranet)}};
    if (!trigger.http.internetDisabled) {
      http["urlInternet"] = addresses.url(trigger.label, Reach::Internet);
    }
    out["httpTrigger"] = std::move(http);
  }
  return json::serialize(out);
}

}  // namespace okibi::api
