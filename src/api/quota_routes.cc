// /okibi/v1/quotas: the quota centre: what an account may have at once, what it asks for, and what
// the administrator makes of it.

#include <algorithm>
#include <iterator>
#include <optional>

#include <fmt/format.h>

#include "api/call.h"
#include "api/json_reader.h"
#include "auth/access_key.h"
#include "base/encoding.h"
#include "conductor/clock.h"

namespace okibi::api {
namespace {

constexpr std::int64_t kQuotaMost = 10'000;

bool isAdministrator(const Call& call) {
  return call.account == call.accounts.administrator();
}

Result<void> onlyAdministrator(const Call& call) {
  if (isAdministrator(call)) return {};
  return fail(ErrorKind::Denied,
              fmt::format("{} {} is for the administrator", call.method, call.target),
              "AccessDenied");
}

// Whom the call is about: itself, or for the administrator the query's accountId.
Result<std::string> subject(const Call& call) {
  const std::string* other = call.parameter("accountId");
  if (other == nullptr || *other == call.account) return call.account;
  // A stranger learns nothing of who else there is.
  if (isAdministrator(call) && call.accounts.exists(*other)) return *other;
  return fail(ErrorKind::NotFound, fmt::format("account '{}' does not exist", *other),
              "AccountNotFound");
}

struct QuotaName {
  std::string_view name;
  int conductor::Quotas::* limit;
  int least;
};
constexpr QuotaName kQuotaNames[] = {
    {conductor::Conductor::kCardQuota, &conductor::Quotas::cards, 0},
    {conductor::Conductor::kInstanceQuota, &conductor::Quotas::instances, 0},
    {conductor::Conductor::kBurstQuota, &conductor::Quotas::burst, 1},
    {conductor::Conductor::kGrowthQuota, &conductor::Quotas::growth, 1},
    {conductor::Conductor::kWeight, &conductor::Quotas::weight, 1},
};

const QuotaName* quotaNamed(std::string_view name) {
  const auto* found = std::ranges::find(kQuotaNames, name, &QuotaName::name);
  return found == std::end(kQuotaNames) ? nullptr : found;
}

// A rate is not used up: it has no `used`.
json::object quotaJson(std::string_view name, int limit, std::optional<int> used, int standard) {
  json::object out{{"name", name}, {"limit", limit}, {"default", standard}};
  if (used) out["used"] = *used;
  return out;
}

json::object requestJson(const ResourceId& id, const QuotaRequest& request) {
  json::object out{{"requestId", toJsonText(id.name)},
                   {"accountId", toJsonText(id.owner.account)},
                   {"name", toJsonText(request.quota)},
                   {"from", request.from},
                   {"value", request.value},
                   {"reason", toJsonText(request.reason)},
                   {"status", toJsonText(request.status)},
                   {"note", toJsonText(request.note)},
                   {"createdTime", formatIso8601(request.created)}};
  if (request.decided != WallTime{}) out["decidedTime"] = formatIso8601(request.decided);
  return out;
}

Result<Answer> listQuotas(const Call& call, const std::string& account) {
  const auto limits = call.conductor.quotas(account);
  const auto& standard = call.conductor.settings().planner;
  int cards = 0, instances = 0;
  for (const conductor::InstanceStatus& one : call.conductor.instances()) {
    if (one.account != account) continue;
    ++instances;
    if (one.card) ++cards;
  }
  const json::array quotas{
      quotaJson("gpuCards", limits.cards, cards, standard.cardQuota),
      quotaJson("instances", limits.instances, instances, standard.instanceQuota),
      quotaJson("burst", limits.burst, call.conductor.startsUsed(account), standard.startBurst),
      quotaJson("growth", limits.growth, std::nullopt, standard.startGrowth),
      quotaJson("weight", limits.weight, std::nullopt, 1)};
  return ok(json::serialize(json::object{{"accountId", toJsonText(account)}, {"quotas", quotas}}));
}

Result<Answer> requestQuota(const Call& call) {
  auto object = parseObject(call.body, "body");
  if (!object) return fail(object.error());
  Complaints complaints;
  const Reader in(*object, complaints);
  QuotaRequest request;
  request.quota = in.text("name").value_or("");
  request.value = in.integer("value").value_or(-1);
  request.reason = in.text("reason").value_or("");
  const QuotaName* quota = quotaNamed(request.quota);
  if (quota == nullptr) {
    in.complain("name", fmt::format("'{}' is not gpuCards, instances, burst, growth or weight",
                                    request.quota));
  }
  const int least = quota != nullptr ? quota->least : 0;
  if (request.value < least || request.value > kQuotaMost) {
    in.complain("value", fmt::format("{} is not in {}–{}", request.value, least, kQuotaMost));
  }
  if (auto verdict = complaints.verdict(); !verdict) return fail(verdict.error());
  const auto limits = call.conductor.quotas(call.account);
  request.from = limits.*quota->limit;
  request.status = "Pending";
  request.created = conductor::wallNow();
  const ResourceId id{{call.account, ""}, "q-" + auth::randomHex(8, auth::systemRandom())};
  auto& resources = call.conductor.catalog().resources();
  if (auto put = resources.put(id, request); !put) return fail(put.error());
  return ok(json::serialize(requestJson(id, request)));
}

// The administrator sees everybody's, the newest first.
Result<Answer> listRequests(const Call& call) {
  std::vector<std::pair<ResourceId, const QuotaRequest*>> shown;
  for (const auto& entry : call.conductor.catalog().resources().all<QuotaRequest>()) {
    if (isAdministrator(call) || entry.first.owner.account == call.account) shown.push_back(entry);
  }
  std::ranges::sort(shown, std::ranges::greater(), [](const auto& entry) {
    return std::pair(entry.second->created, entry.first.name);
  });
  NamedItems items;
  for (const auto& entry : shown) {
    items.emplace_back(entry.first.name, [id = entry.first, request = entry.second] {
      return requestJson(id, *request);
    });
  }
  return answerPage(call, "requests", items);
}

Result<Answer> decide(const Call& call, const std::string& name, const std::string& verdict) {
  if (auto allowed = onlyAdministrator(call); !allowed) return fail(allowed.error());
  auto& resources = call.conductor.catalog().resources();
  for (const auto& [id, current] : resources.all<QuotaRequest>()) {
    if (id.name != name) continue;
    if (current->status != "Pending") {
      return fail(ErrorKind::AlreadyExists,
                  fmt::format("request '{}' is {} already", name, current->status),
                  "ConcurrentUpdateError");
    }
    QuotaRequest decided = *current;
    const std::string* note = call.parameter("note");
    if (note != nullptr) decided.note = *note;
    decided.status = verdict == "approve" ? "Approved" : "Refused";
    decided.decided = conductor::wallNow();
    const std::string account = id.owner.account;
    if (verdict == "approve") {
      auto put = call.conductor.catalog().putQuota(account, decided.quota, decided.value);
      if (!put) return fail(put.error());
      call.conductor.applyQuota(account);
    }
    const ResourceId kept = id;
    if (auto put = resources.put(kept, decided); !put) return fail(put.error());
    return ok(json::serialize(requestJson(kept, decided)));
  }
  return fail(ErrorKind::NotFound, fmt::format("quota request '{}' does not exist", name),
              "QuotaRequestNotFound");
}

}  // namespace

Result<Answer> serveQuotas(const Call& call) {
  const auto& path = call.path;
  if (path.size() == 1 && call.method == "GET") {
    auto account = subject(call);
    if (!account) return fail(account.error());
    return listQuotas(call, *account);
  }
  if (path.size() < 2 || path[1] != "requests") return notSupported(call);
  if (path.size() == 2 && call.method == "GET") return listRequests(call);
  if (path.size() == 2 && call.method == "POST") return requestQuota(call);
  const bool verdict = path.size() == 4 && (path[3] == "approve" || path[3] == "refuse");
  if (verdict && call.method == "POST") return decide(call, path[2], path[3]);
  return notSupported(call);
}

}  // namespace okibi::api
