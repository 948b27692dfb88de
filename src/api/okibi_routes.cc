// /okibi/v1: what Function Compute has no operation for: live instances, usage, cold starts, logs,
// cards.

#include <algorithm>

#include <fmt/format.h>

#include "api/call.h"
#include "api/json_reader.h"
#include "base/encoding.h"
#include "conductor/clock.h"

namespace okibi::api {
namespace {

constexpr std::size_t kMostListed = 1000;

json::object cardJson(const Card& card) {
  return {{"uuid", toJsonText(card.uuid)},
          {"type", toJsonText(card.type)},
          {"simulated", card.origin == CardOrigin::Simulated}};
}

double amount(Money money) {
  return static_cast<double>(money.micros()) / 1e6;
}

Result<std::string> functionParameter(const Call& call) {
  const std::string* name = call.parameter("functionName");
  if (name != nullptr) return *name;
  return fail(ErrorKind::Invalid, "functionName: is required", "InvalidArgument");
}

// What is fixed about a card. Simulated ones have no more than a name.
void addFacts(json::object& card, const seams::CardFacts& facts) {
  card["name"] = toJsonText(facts.name);
  if (facts.card.origin == CardOrigin::Simulated) return;
  card["totalMB"] = facts.total.wholeMib();
  card["reservedMB"] = facts.reserved.wholeMib();
  card["pciAddress"] = toJsonText(facts.pciAddress);
  card["computeCapability"] = fmt::format("{}.{}", facts.capabilityMajor, facts.capabilityMinor);
  if (facts.numaNode) card["numaNode"] = *facts.numaNode;
  if (facts.minorNumber) card["minorNumber"] = *facts.minorNumber;
  if (!facts.mig) return;
  card["mig"] = json::object{{"parentUuid", toJsonText(facts.mig->parentUuid)},
                             {"gpuInstance", facts.mig->gpuInstance},
                             {"computeInstance", facts.mig->computeInstance}};
}

// The caller's own; what other accounts run there is not for it to know.
json::array holderList(const Call& call, const conductor::CardStatus& status) {
  json::array out;
  for (const auto& holder : status.holders) {
    if (holder.function.account != call.account) continue;
    json::object one{{"instanceId", toJsonText(holder.instance)},
                     {"functionName", toJsonText(holder.function.name)},
                     {"sliceMB", holder.slice.wholeMib()}};
    if (status.use) one["inUseMB"] = holder.inUse.wholeMib();
    if (holder.driverLimit) one["driverLimitMB"] = holder.driverLimit->wholeMib();
    out.push_back(std::move(one));
  }
  return out;
}

json::array cardList(const Call& call) {
  json::array out;
  for (const conductor::CardStatus& status : call.conductor.cards()) {
    json::object card = cardJson(status.card);
    card["memoryMB"] = status.card.memory.wholeMib();
    card["usedMB"] = status.used.wholeMib();
    card["slices"] = status.slices;
    addFacts(card, status.facts);
    card["takenOut"] = toJsonText(status.out);
    if (status.use) {
      card["inUseMB"] = status.use->used.wholeMib();
      if (status.use->busyPercent) card["busyPercent"] = *status.use->busyPercent;
    }
    card["instances"] = holderList(call, status);
    out.push_back(std::move(card));
  }
  return out;
}

Result<Answer> info(const Call& call) {
  json::array roots;
  for (const std::string& name :
       modelRootNames(call.conductor.settings().modelRoots, call.account)) {
    roots.emplace_back(toJsonText(name));
  }
  return ok(json::serialize(json::object{{"version", OKIBI_VERSION},
                                         {"accountId", toJsonText(call.account)},
                                         {"region", toJsonText(call.region())},
                                         {"runtime", toJsonText(call.conductor.settings().runtime)},
                                         {"modelRoots", std::move(roots)},
                                         {"cards", cardList(call)}}));
}

Result<Answer> cards(const Call& call) {
  return ok(
      json::serialize(json::object{{"driverVersion", toJsonText(call.conductor.driverVersion())},
                                   {"driverAnswers", call.conductor.driverAnswers()},
                                   {"cards", cardList(call)}}));
}

json::object instanceJson(const conductor::InstanceStatus& instance) {
  return {{"instanceId", toJsonText(instance.name)},
          {"functionName", toJsonText(instance.function)},
          {"version", instance.version},
          {"state", toJsonText(instance.state)},
          {"inFlight", instance.inFlight},
          {"sessions", instance.sessions},
          {"concurrency", instance.concurrency},
          {"card", instance.card ? json::value(cardJson(*instance.card)) : json::value(nullptr)},
          {"sliceMB", instance.slice.wholeMib()},
          {"ageMs", toMilliseconds(instance.age)},
          {"stateMs", toMilliseconds(instance.stateAge)},
          {"pid", instance.pid},
          {"memoryMB", instance.memory.wholeMib()},
          {"createdTime", formatIso8601Milliseconds(instance.created)}};
}

json::object endedJson(const seams::EndedInstance& instance) {
  return {{"instanceId", toJsonText(instance.name)},
          {"functionName", toJsonText(instance.function.name)},
          {"version", instance.version},
          {"gpuType", toJsonText(instance.gpuType)},
          {"sliceMB", instance.sliceMb},
          {"createdTime", formatIso8601Milliseconds(instance.created)},
          {"endedTime", formatIso8601Milliseconds(instance.ended)},
          {"lifeMs", (instance.ended - instance.created).count()},
          {"reason", toJsonText(instance.reason)}};
}

// The live ones; with all=true also the newest `limit` of those that have ended.
net::Task<Result<Answer>> instances(const Call& call) {
  const std::string* only = call.parameter("functionName");
  const auto withEnded = flagOf(call, "all");
  if (!withEnded) co_return fail(withEnded.error());
  const auto limit = limitOf(call, 100, kMostListed);
  if (!limit) co_return fail(limit.error());
  json::array live;
  for (const conductor::InstanceStatus& instance : call.conductor.instances()) {
    if (instance.account != call.account || (only && instance.function != *only)) continue;
    live.push_back(instanceJson(instance));
  }
  json::object out{{"instances", std::move(live)}};
  if (!*withEnded) co_return ok(json::serialize(out));
  auto ended = co_await call.conductor.accounting().endedInstances(
      call.account, only == nullptr ? "" : *only, conductor::wallNow(), *limit);
  if (!ended) co_return fail(ended.error());
  json::array gone;
  for (const seams::EndedInstance& one : *ended) gone.push_back(endedJson(one));
  out["ended"] = std::move(gone);
  co_return ok(json::serialize(out));
}

json::object usageJson(const conductor::UsageSummary& summary) {
  constexpr double kMbMsPerGbSecond = 1024.0 * 1000.0;
  return {{"functionName", toJsonText(summary.function)},
          {"calls", summary.usage.calls},
          {"errors", summary.usage.errors},
          {"refused", summary.usage.refused},
          {"coldStarts", summary.usage.coldCalls},
          {"activeMs", summary.usage.activeMs},
          {"gpuGBSeconds", static_cast<double>(summary.usage.gpuMbMs) / kMbMsPerGbSecond},
          {"idleMs", summary.usage.idleMs},
          {"idleGpuGBSeconds", static_cast<double>(summary.usage.idleGpuMbMs) / kMbMsPerGbSecond},
          {"cost", amount(summary.cost)},
          {"alwaysOnCost", amount(summary.alwaysOn)},
          {"sinceTime", formatIso8601(summary.since)}};
}

net::Task<Result<Answer>> usage(const Call& call) {
  const std::string* name = call.parameter("functionName");
  auto report = co_await call.conductor.accounting().usage(call.account, name ? *name : "",
                                                           conductor::wallNow());
  if (!report) co_return fail(report.error());
  json::array functions;
  for (const auto& summary : report->functions) functions.push_back(usageJson(summary));
  co_return ok(json::serialize(json::object{{"currency", toJsonText(report->currency)},
                                            {"functions", std::move(functions)},
                                            {"total", usageJson(report->total)}}));
}

json::object invocationJson(const ledger::InvocationRecord& record,
                            const ledger::PriceBook& prices) {
  const ledger::ColdPhases& phases = record.phases;
  const ledger::UnitPrice gpuPrice = record.gpuPrice.value_or(prices.gpuPrice(record.gpuType));
  return {{"requestId", toJsonText(record.requestId)},
          {"functionName", toJsonText(record.function.name)},
          {"startedTime", formatIso8601Milliseconds(record.received)},
          {"status", record.status},
          {"errorType", toJsonText(record.errorType)},
          {"refused", record.outcome == ledger::Outcome::Refused},
          {"cold", record.start == ledger::StartKind::Cold},
          {"thawed", record.start == ledger::StartKind::Woken},
          {"concurrentStarts", record.concurrentStarts},
          {"phases", json::object{{"scheduleMs", toMilliseconds(phases.schedule)},
                                  {"imageMs", toMilliseconds(phases.image)},
                                  {"sandboxMs", toMilliseconds(phases.sandbox)},
                                  {"appMs", toMilliseconds(phases.app)},
                                  {"initMs", toMilliseconds(phases.init)}}},
          {"requestMs", toMilliseconds(record.duration)},
          {"totalMs", toMilliseconds(record.waited + record.duration)},
          {"shareMs", toMilliseconds(record.share)},
          {"gpuType", toJsonText(record.gpuType)},
          {"sliceMB", record.gpuMemory.wholeMib()},
          {"gpuBilledMs", record.bill.gpuMs},
          {"cost", amount(prices.priceOf(record.bill, gpuPrice))},
          {"currency", toJsonText(prices.currency)},
          {"instanceId", toJsonText(record.place.instance)},
          {"reason", toJsonText(record.reason)}};
}

net::Task<Result<Answer>> invocations(const Call& call) {
  const std::string* name = call.parameter("functionName");
  const auto limit = limitOf(call, 20, kMostListed);
  if (!limit) co_return fail(limit.error());
  const std::string* cold = call.parameter("coldOnly");
  const std::string* requestId = call.parameter("requestId");
  const auto filter =
      cold && *cold == "true" ? seams::InvocationFilter::ColdOnly : seams::InvocationFilter::All;
  std::vector<FunctionRef> functions;
  if (name != nullptr) {
    functions.push_back({call.account, *name});
  } else {
    for (const Function* function : call.conductor.catalog().list(call.account, "", "", SIZE_MAX)) {
      functions.push_back(function->ref);
    }
  }
  auto& accounting = call.conductor.accounting();
  auto records =
      co_await accounting.invocations(std::move(functions), filter, requestId ? SIZE_MAX : *limit);
  if (!records) co_return fail(records.error());
  json::array out;
  for (const ledger::InvocationRecord& record : *records) {
    if (requestId != nullptr && record.requestId != *requestId) continue;
    out.push_back(invocationJson(record, accounting.prices()));
  }
  co_return ok(json::serialize(json::object{{"invocations", std::move(out)}}));
}

Result<Answer> logs(const Call& call) {
  const auto name = functionParameter(call);
  if (!name) return fail(name.error());
  const auto limit = limitOf(call, 100, 10'000);
  if (!limit) return fail(limit.error());
  const FunctionRef ref{call.account, *name};
  if (auto found = call.conductor.catalog().get(ref); !found) return fail(found.error());
  json::array out;
  for (const conductor::LogLine& line : call.conductor.logs().tail(ref, *limit)) {
    const bool isOut = line.stream == seams::OutputStream::Stdout;
    out.push_back(json::object{{"time", formatIso8601Milliseconds(line.time)},
                               {"instanceId", toJsonText(line.instance)},
                               {"stream", isOut ? "stdout" : "stderr"},
                               {"text", toJsonText(line.text)}});
  }
  return ok(json::serialize(json::object{{"lines", std::move(out)}}));
}

}  // namespace

net::Task<Result<Answer>> serveOkibi(const Call& call) {
  if (call.method != "GET" || call.path.size() != 1) co_return notSupported(call);
  const std::string& resource = call.path[0];
  if (resource == "info") co_return info(call);
  if (resource == "instances") co_return co_await instances(call);
  if (resource == "usage") co_return co_await usage(call);
  if (resource == "invocations") co_return co_await invocations(call);
  if (resource == "logs") co_return logs(call);
  if (resource == "images") co_return listImages(call);
  if (resource == "cards") co_return cards(call);
  co_return notSupported(call);
}

}  // namespace okibi::api
