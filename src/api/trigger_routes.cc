#include <fmt/format.h>

#include "api/call.h"
#include "api/function_json.h"
#include "api/trigger_json.h"
#include "auth/access_key.h"
#include "conductor/clock.h"
#include "model/validation.h"

namespace okibi::api {
namespace {

constexpr std::size_t kIdBytes = 12;

std::string answerFor(const Call& call, const Trigger& trigger) {
  return triggerJson(trigger, functionArn(trigger.function, call.region()), call.addresses);
}

// A qualifier has one HTTP trigger (Function Compute: HTTP triggers).
Result<void> checkOnlyOne(const Call& call, const Trigger& trigger) {
  if (trigger.type != "http") return {};
  for (const Trigger* other : call.conductor.catalog().triggers(call.function())) {
    if (other->type != "http" || other->qualifier != trigger.qualifier) continue;
    if (other->name == trigger.name) continue;
    return fail(
        ErrorKind::AlreadyExists,
        fmt::format("qualifier '{}' of function '{}' has the HTTP trigger '{}' already; one is "
                    "allowed",
                    trigger.qualifier, call.path[1], other->name),
        "TriggerAlreadyExists");
  }
  return {};
}

Result<Answer> create(const Call& call) {
  auto& catalog = call.conductor.catalog();
  auto trigger = readNewTrigger(call.body);
  if (!trigger) return fail(trigger.error());
  if (auto valid = validate(*trigger); !valid) return fail(valid.error());
  auto exists = call.conductor.checkQualifier(call.function(), trigger->qualifier);
  if (!exists) return fail(exists.error());
  trigger->function = call.function();
  if (catalog.trigger(trigger->function, trigger->name)) {
    return fail(ErrorKind::AlreadyExists, fmt::format("trigger '{}' exists already", trigger->name),
                "TriggerAlreadyExists");
  }
  if (auto one = checkOnlyOne(call, *trigger); !one) return fail(one.error());
  const std::size_t count = catalog.triggers(trigger->function).size();
  if (count >= static_cast<std::size_t>(limits::kTriggersPerFunction)) {
    return fail(ErrorKind::Invalid,
                fmt::format("function '{}' has {} triggers of at most {}", trigger->function.name,
                            count, limits::kTriggersPerFunction),
                "LimitExceededError");
  }
  trigger->id = auth::randomHex(kIdBytes, auth::systemRandom());
  trigger->label = auth::randomHex(kIdBytes, auth::systemRandom());
  trigger->created = trigger->modified = conductor::wallNow();
  if (auto stored = catalog.putTrigger(*trigger); !stored) return fail(stored.error());
  return ok(answerFor(call, *trigger));
}

Result<Answer> update(const Call& call, const Trigger& current) {
  auto trigger = readTriggerUpdate(call.body, current);
  if (!trigger) return fail(trigger.error());
  if (auto valid = validate(*trigger); !valid) return fail(valid.error());
  auto exists = call.conductor.checkQualifier(call.function(), trigger->qualifier);
  if (!exists) return fail(exists.error());
  if (auto one = checkOnlyOne(call, *trigger); !one) return fail(one.error());
  trigger->modified = conductor::wallNow();
  if (auto stored = call.conductor.catalog().putTrigger(*trigger); !stored) {
    return fail(stored.error());
  }
  return ok(answerFor(call, *trigger));
}

Result<Answer> list(const Call& call) {
  const auto limit = limitOf(call, 50, 100);
  if (!limit) return fail(limit.error());
  const std::string* prefix = call.parameter("prefix");
  const std::string* token = call.parameter("nextToken");
  std::string out = R"({"triggers":[)", last;
  std::size_t count = 0;
  for (const Trigger* trigger : call.conductor.catalog().triggers(call.function())) {
    if (prefix != nullptr && !trigger->name.starts_with(*prefix)) continue;
    if (token != nullptr && trigger->name <= *token) continue;
    if (count == *limit) return ok(out + R"(],"nextToken":")" + last + R"("})");
    if (count++ > 0) out += ',';
    out += answerFor(call, *trigger);
    last = trigger->name;
  }
  return ok(out + "]}");
}

}  // namespace

Result<Answer> serveTriggers(const Call& call) {
  auto& catalog = call.conductor.catalog();
  if (auto found = catalog.get(call.function()); !found) return fail(found.error());
  if (call.path.size() == 3) {
    if (call.method == "POST") return create(call);
    if (call.method == "GET") return list(call);
  }
  if (call.path.size() != 4) return notSupported(call);
  auto trigger = catalog.trigger(call.function(), call.path[3]);
  if (!trigger) return fail(trigger.error());
  if (call.method == "GET") return ok(answerFor(call, **trigger));
  if (call.method == "PUT") return update(call, **trigger);
  if (call.method != "DELETE") return notSupported(call);
  if (auto removed = catalog.removeTrigger(call.function(), call.path[3]); !removed) {
    return fail(removed.error());
  }
  return noContent();
}

}  // namespace okibi::api
