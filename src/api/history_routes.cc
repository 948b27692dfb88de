// /okibi/v1/functions/{fn}/history: what `okibi whatif` plays again: the function's requests, as
// far as they are kept, and what they cost and ran under.

#include <charconv>

#include <fmt/format.h>

#include "api/call.h"
#include "api/json_reader.h"
#include "base/encoding.h"
#include "base/limits.h"
#include "conductor/clock.h"

namespace okibi::api {
namespace {

// The order of a request's numbers in the answer.
json::array columns() {
  return {"receivedMs", "waitedUs", "serviceUs",   "startUs", "initUs",
          "start",      "fate",     "concurrency", "sliceMB"};
}

json::array rowJson(const seams::HistoryRow& row) {
  return {row.received.time_since_epoch().count(),
          row.waitedUs,
          row.serviceUs,
          row.startUs,
          row.initUs,
          row.start,
          row.fate,
          row.concurrency,
          row.sliceMb};
}

json::object pricesJson(const ledger::PriceBook& prices, const std::string& gpuType) {
  json::object out{{"currency", toJsonText(prices.currency)},
                   {"gpuGbSecond", ledger::toString(prices.gpuPrice(gpuType))},
                   {"gpuIdleGbSecond", ledger::toString(prices.gpuIdlePrice(gpuType))},
                   {"vcpuSecond", ledger::toString(prices.vcpuSecond)},
                   {"memoryGbSecond", ledger::toString(prices.memoryGbSecond)},
                   {"millionCalls", ledger::toString(prices.millionCalls)}};
  const auto& idle = prices.memoryIdleGbSecond;
  if (idle) out["memoryIdleGbSecond"] = ledger::toString(*idle);
  return out;
}

// What bounds the instances that the function can have: its account's quota, its own cap.
int mostInstances(const Call& call, const FunctionSpec& spec, const conductor::Quotas& quotas) {
  const int most = spec.gpu ? std::min(quotas.cards, quotas.instances) : quotas.instances;
  const auto* cap = call.conductor.catalog().resources().find<ConcurrencyCap>(call.function());
  return cap == nullptr ? most : std::min(most, cap->reserved);
}

json::object configurationJson(const Call& call, const FunctionSpec& spec) {
  const conductor::Quotas quotas = call.conductor.quotas(call.account);
  json::object out{{"gpuType", toJsonText(spec.gpu ? spec.gpu->type : "")},
                   {"sliceMB", spec.gpu ? spec.gpu->memory.wholeMib() : 0},
                   {"memoryMB", spec.memory.wholeMib()},
                   {"diskMB", spec.disk.wholeMib()},
                   {"cpuMilli", spec.cpu.count},
                   {"concurrency", spec.concurrency},
                   {"idleTimeoutSeconds", spec.keptIdle().count()},
                   {"mostInstances", mostInstances(call, spec, quotas)},
                   {"startBurst", quotas.burst},
                   {"startGrowth", quotas.growth},
                   {"cardTurns", call.conductor.settings().planner.cardTurns},
                   {"minimum", 0},
                   {"keptRunning", true}};
  const auto* kept =
      call.conductor.catalog().resources().find<MinimumConfig>(call.function(), kLatest);
  if (kept != nullptr) {
    out["minimum"] = kept->minimum;
    out["keptRunning"] = kept->alwaysCpu && (kept->alwaysGpu || !spec.gpu);
  }
  return out;
}

// Memory of each card that the function's slices can be on.
json::array cardsJson(const Call& call, const FunctionSpec& spec) {
  json::array out;
  for (const conductor::CardStatus& status : call.conductor.cards()) {
    if (!spec.gpu || status.card.type != spec.gpu->type || !status.out.empty()) continue;
    out.push_back(status.card.memory.wholeMib());
  }
  return out;
}

Result<std::int64_t> afterOf(const Call& call) {
  const std::string* token = call.parameter("nextToken");
  if (token == nullptr) return 0;
  std::int64_t after = 0;
  const char* end = token->data() + token->size();
  const auto [stop, error] = std::from_chars(token->data(), end, after);
  if (error == std::errc() && stop == end && after >= 0) return after;
  return fail(ErrorKind::Invalid, fmt::format("nextToken: '{}' was not given out here", *token),
              "InvalidArgument");
}

Result<WallTime> sinceOf(const Call& call) {
  const WallTime oldest = conductor::wallNow() - limits::kHistoryAge;
  const std::string* text = call.parameter("since");
  if (text == nullptr) return oldest;
  const auto since = parseIso8601(*text);
  if (since) return std::max(*since, oldest);
  return fail(ErrorKind::Invalid,
              fmt::format("since: '{}' is not a time like 2026-11-24T22:31:07Z", *text),
              "InvalidArgument");
}

}  // namespace

net::Task<Result<Answer>> serveHistory(const Call& call) {
  if (call.path.size() != 3 || call.path[2] != "history" || call.method != "GET") {
    co_return notSupported(call);
  }
  auto function = call.conductor.catalog().get(call.function());
  if (!function) co_return fail(function.error());
  const auto limit = limitOf(call, limits::kHistoryPage, limits::kHistoryPage);
  if (!limit) co_return fail(limit.error());
  const auto after = afterOf(call);
  if (!after) co_return fail(after.error());
  const auto since = sinceOf(call);
  if (!since) co_return fail(since.error());
  // The function may be gone when the rows are there.
  const FunctionSpec spec = (*function)->active.value_or((*function)->spec);
  const conductor::Settings& settings = call.conductor.settings();
  auto& accounting = call.conductor.accounting();
  json::object out{
      {"functionName", toJsonText(call.path[1])},
      {"until", formatIso8601Milliseconds(conductor::wallNow())},
      {"configuration", configurationJson(call, spec)},
      {"prices", pricesJson(accounting.prices(), spec.gpu ? spec.gpu->type : "")},
      {"cardsMB", cardsJson(call, spec)},
      {"queueDeadlineMs", toMilliseconds(settings.queueDeadline)},
      {"keepAlive",
       settings.planner.keepAlive == planner::KeepAlivePolicy::Learned ? "learned" : "fixed"},
      {"columns", columns()}};
  const auto rows = co_await accounting.history(call.function(), *after, *since, *limit);
  if (!rows) co_return fail(rows.error());
  json::array requests;
  for (const seams::HistoryRow& row : *rows) requests.push_back(rowJson(row));
  if (rows->size() == *limit) out["nextToken"] = std::to_string(rows->back().sequence);
  out["requests"] = std::move(requests);
  co_return ok(json::serialize(out));
}

}  // namespace okibi::api
