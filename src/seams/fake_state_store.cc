#include "seams/fake_state_store.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "base/limits.h"

namespace okibi::seams {
namespace {

void add(UsageRow& sum, const UsageRow& more) {
  sum.calls += more.calls;
  sum.errors += more.errors;
  sum.coldCalls += more.coldCalls;
  sum.refused += more.refused;
  sum.activeMs += more.activeMs;
  sum.gpuMs += more.gpuMs;
  sum.gpuMbMs += more.gpuMbMs;
  sum.memoryMbMs += more.memoryMbMs;
  sum.cpuMilliMs += more.cpuMilliMs;
  sum.diskMbMs += more.diskMbMs;
  sum.idleMs += more.idleMs;
  sum.idleGpuMbMs += more.idleGpuMbMs;
  sum.idleMemoryMbMs += more.idleMemoryMbMs;
  if (!sum.firstUse || (more.firstUse && *more.firstUse < *sum.firstUse)) {
    sum.firstUse = more.firstUse;
  }
}

template <typename Map>
auto valuesOf(const Map& map) {
  std::vector<typename Map::mapped_type> values;
  for (const auto& [key, value] : map) values.push_back(value);
  return values;
}

// Drops the oldest of a class beyond what is kept.
void trimClass(std::vector<RecentInvocation>& oldestFirst, InvocationClass kind) {
  auto extra = std::ranges::count(oldestFirst, kind, &RecentInvocation::kind) -
               static_cast<std::ptrdiff_t>(kRecentInvocationsKept);
  std::erase_if(oldestFirst,
                [&](const RecentInvocation& one) { return one.kind == kind && extra-- > 0; });
}

void trimHistory(std::vector<HistoryRow>& kept) {
  if (kept.empty()) return;
  const WallTime oldest =
      std::ranges::max(kept, {}, &HistoryRow::received).received - limits::kHistoryAge;
  auto first = kept.begin();
  if (kept.size() > limits::kHistoryRequests) {
    first = kept.end() - static_cast<std::ptrdiff_t>(limits::kHistoryRequests);
  }
  first = std::find_if(first, kept.end(), [&](const auto& one) { return one.received >= oldest; });
  kept.erase(kept.begin(), first);
}

bool endedBefore(const EndedInstance& a, const EndedInstance& b) {
  return std::tie(a.ended, a.name) < std::tie(b.ended, b.name);
}

void trimEnded(std::vector<EndedInstance>& kept) {
  std::ranges::sort(kept, endedBefore);
  if (kept.size() > limits::kEndedInstances) {
    kept.erase(kept.begin(), kept.end() - static_cast<std::ptrdiff_t>(limits::kEndedInstances));
  }
  std::erase_if(kept, [oldest = kept.back().ended - limits::kEndedInstanceAge](const auto& one) {
    return one.ended < oldest;
  });
}

std::unexpected<Error> notThere(std::string_view what) {
  return fail(ErrorKind::NotFound, fmt::format("{} does not exist", what));
}

}  // namespace

void FakeStateStore::failWrites(int count, Error error) {
  const Lock lock(mutex_);
  failures_ = count;
  failure_ = std::move(error);
}

Result<void> FakeStateStore::mayWrite() {
  if (failures_ == 0) return {};
  --failures_;
  return fail(failure_);
}

Result<std::vector<Account>> FakeStateStore::accounts() {
  const Lock lock(mutex_);
  return valuesOf(accounts_);
}

Result<void> FakeStateStore::addAccount(const Account& account) {
  const Lock lock(mutex_);
  if (auto ok = mayWrite(); !ok) return ok;
  if (!accounts_.try_emplace(account.id, account).second) {
    return fail(ErrorKind::AlreadyExists, fmt::format("account {} exists", account.id));
  }
  return {};
}

Result<std::vector<StoredAccessKey>> FakeStateStore::accessKeys() {
  const Lock lock(mutex_);
  auto keys = valuesOf(keys_);
  std::ranges::sort(keys, {}, [](const auto& key) { return std::pair(key.account, key.id); });
  return keys;
}

Result<void> FakeStateStore::addAccessKey(const StoredAccessKey& key) {
  const Lock lock(mutex_);
  if (auto ok = mayWrite(); !ok) return ok;
  if (!accounts_.contains(key.account)) return notThere("account " + key.account);
  if (!keys_.try_emplace(key.id, key).second) {
    return fail(ErrorKind::AlreadyExists, fmt::format("access key {} exists", key.id));
  }
  return {};
}

Result<void> FakeStateStore::removeAccessKey(std::string_view account, std::string_view id) {
  const Lock lock(mutex_);
  if (auto ok = mayWrite(); !ok) return ok;
  const auto found = keys_.find(std::string(id));
  if (found == keys_.end() || found->second.account != account) {
    return notThere(fmt::format("access key {}", id));
  }
  keys_.erase(found);
  return {};
}

Result<std::vector<Function>> FakeStateStore::functions() {
  const Lock lock(mutex_);
  return valuesOf(functions_);
}

Result<void> FakeStateStore::putFunction(const Function& function) {
  const Lock lock(mutex_);
  if (auto ok = mayWrite(); !ok) return ok;
  if (!accounts_.contains(function.ref.account)) {
    return notThere("account " + function.ref.account);
  }
  functions_[function.ref] = function;
  return {};
}

Result<void> FakeStateStore::removeFunction(const FunctionRef& ref) {
  const Lock lock(mutex_);
  if (auto ok = mayWrite(); !ok) return ok;
  if (functions_.erase(ref) == 0) return notThere("function " + ref.name);
  std::erase_if(triggers_, [&](const auto& entry) { return entry.first.first == ref; });
  std::erase_if(resources_, [&](const auto& entry) { return std::get<0>(entry.first) == ref; });
  std::erase_if(async_, [&](const auto& entry) { return entry.second.first.function == ref; });
  recent_.erase(ref);
  history_.erase(ref);
  ended_.erase(ref);
  return {};
}

Result<std::vector<Trigger>> FakeStateStore::triggers() {
  const Lock lock(mutex_);
  return valuesOf(triggers_);
}

Result<void> FakeStateStore::putTrigger(const Trigger& trigger) {
  const Lock lock(mutex_);
  if (auto ok = mayWrite(); !ok) return ok;
  if (!functions_.contains(trigger.function)) return notThere("function " + trigger.function.name);
  const auto key = std::pair(trigger.function, trigger.name);
  for (const auto& [other, value] : triggers_) {
    if ((value.id == trigger.id || value.label == trigger.label) && other != key) {
      return fail(ErrorKind::AlreadyExists,
                  fmt::format("trigger id {} or label {} is taken", trigger.id, trigger.label));
    }
  }
  triggers_[key] = trigger;
  return {};
}

Result<void> FakeStateStore::removeTrigger(const FunctionRef& function, std::string_view name) {
  const Lock lock(mutex_);
  if (auto ok = mayWrite(); !ok) return ok;
  if (triggers_.erase({function, std::string(name)}) == 0) {
    return notThere(fmt::format("trigger {}", name));
  }
  return {};
}

Result<std::vector<StoredResource>> FakeStateStore::resources() {
  const Lock lock(mutex_);
  std::vector<StoredResource> all;
  for (const auto& [key, value] : resources_) {
    all.push_back({{std::get<0>(key), std::get<2>(key)}, value});
  }
  return all;
}

Result<void> FakeStateStore::putResource(const StoredResource& resource) {
  const Lock lock(mutex_);
  if (auto ok = mayWrite(); !ok) return ok;
  const FunctionRef& owner = resource.id.owner;
  if (!accounts_.contains(owner.account)) return notThere("account " + owner.account);
  resources_[{owner, resource.value.index(), resource.id.name}] = resource.value;
  return {};
}

Result<void> FakeStateStore::removeResource(const ResourceId& id, std::size_t kind) {
  const Lock lock(mutex_);
  if (auto ok = mayWrite(); !ok) return ok;
  if (resources_.erase({id.owner, kind, id.name}) == 0) return notThere("resource " + id.name);
  return {};
}

Result<std::vector<AsyncEvent>> FakeStateStore::asyncEvents() {
  const Lock lock(mutex_);
  std::vector<AsyncEvent> all;
  for (const auto& [id, entry] : async_) all.push_back(entry.first);
  std::ranges::sort(all, {},
                    [](const auto& event) { return std::pair(event.due, event.requestId); });
  return all;
}

Result<void> FakeStateStore::putAsyncEvent(const AsyncEvent& event, std::string_view payload) {
  const Lock lock(mutex_);
  if (auto ok = mayWrite(); !ok) return ok;
  if (!functions_.contains(event.function)) return notThere("function " + event.function.name);
  for (const auto& [id, entry] : async_) {
    const bool sameTask = !event.taskId.empty() && entry.first.taskId == event.taskId &&
                          entry.first.function == event.function;
    if (id == event.requestId || sameTask) {
      return fail(ErrorKind::AlreadyExists, fmt::format("task {} exists", event.taskId));
    }
  }
  async_.emplace(event.requestId, std::pair(event, std::string(payload)));
  return {};
}

Result<void> FakeStateStore::updateAsyncEvent(const AsyncEvent& event) {
  const Lock lock(mutex_);
  if (auto ok = mayWrite(); !ok) return ok;
  const auto found = async_.find(event.requestId);
  if (found == async_.end()) return notThere("event " + event.requestId);
  found->second.first = event;
  return {};
}

Result<std::string> FakeStateStore::asyncPayload(std::string_view requestId) {
  const Lock lock(mutex_);
  const auto found = async_.find(requestId);
  if (found == async_.end()) return fail(ErrorKind::NotFound, "no such event");
  return found->second.second;
}

Result<void> FakeStateStore::removeAsyncEvent(std::string_view requestId) {
  const Lock lock(mutex_);
  if (auto ok = mayWrite(); !ok) return ok;
  const auto found = async_.find(requestId);
  if (found == async_.end()) return notThere(fmt::format("event {}", requestId));
  async_.erase(found);
  return {};
}

Result<FoldPosition> FakeStateStore::foldPosition() {
  const Lock lock(mutex_);
  return position_;
}

Result<void> FakeStateStore::fold(const FoldBatch& batch) {
  const Lock lock(mutex_);
  if (auto ok = mayWrite(); !ok) return ok;
  if (batch.from != position_) {
    return fail(ErrorKind::AlreadyExists,
                fmt::format("the ledger is folded up to segment {} byte {}", position_.segment,
                            position_.offset));
  }
  position_ = batch.to;
  for (const UsageRow& row : batch.usage) {
    const UsageKey key{row.function, row.day, row.gpuType, row.gpuPriceNanos};
    const auto [at, isNew] = usage_.try_emplace(key, row);
    if (!isNew) add(at->second, row);
  }
  for (const RecentInvocation& one : batch.invocations) {
    auto& kept = recent_[one.function];
    kept.push_back(one);
    trimClass(kept, one.kind);
  }
  for (const HistoryRow& one : batch.history) {
    auto& kept = history_[one.function];
    kept.push_back(one);
    kept.back().sequence = kept.size() == 1 ? 1 : kept[kept.size() - 2].sequence + 1;
  }
  for (auto& [function, kept] : history_) trimHistory(kept);
  for (const EndedInstance& one : batch.ended) {
    const auto function = functions_.find(one.function);
    if (function == functions_.end() || function->second.created > one.created) continue;
    auto& kept = ended_[one.function];
    const auto known = [&](const EndedInstance& other) { return other.name == one.name; };
    if (std::ranges::none_of(kept, known)) kept.push_back(one);
  }
  for (auto& [function, kept] : ended_) trimEnded(kept);
  return {};
}

Result<std::vector<UsageRow>> FakeStateStore::usage(std::string_view account,
                                                    std::chrono::sys_days from,
                                                    std::chrono::sys_days to) {
  const Lock lock(mutex_);
  std::vector<UsageRow> rows;
  for (const auto& [key, row] : usage_) {
    if (row.function.account == account && row.day >= from && row.day <= to) rows.push_back(row);
  }
  return rows;
}

Result<std::vector<RecentInvocation>> FakeStateStore::recentInvocations(const FunctionRef& function,
                                                                        InvocationFilter filter,
                                                                        std::size_t limit) {
  const Lock lock(mutex_);
  std::vector<RecentInvocation> found;
  const auto kept = recent_.find(function);
  if (kept == recent_.end()) return found;
  for (auto one = kept->second.rbegin(); one != kept->second.rend() && found.size() < limit;
       ++one) {
    if (filter == InvocationFilter::All || one->kind == InvocationClass::Cold) {
      found.push_back(*one);
    }
  }
  return found;
}

Result<std::vector<HistoryRow>> FakeStateStore::history(const FunctionRef& function,
                                                        std::int64_t after, WallTime since,
                                                        std::size_t limit) {
  const Lock lock(mutex_);
  std::vector<HistoryRow> found;
  const auto kept = history_.find(function);
  if (kept == history_.end()) return found;
  for (const HistoryRow& one : kept->second) {
    if (found.size() == limit) break;
    if (one.sequence > after && one.received >= since) found.push_back(one);
  }
  return found;
}

Result<std::vector<EndedInstance>> FakeStateStore::endedInstances(std::string_view account,
                                                                  std::string_view function,
                                                                  WallTime since,
                                                                  std::size_t limit) {
  const Lock lock(mutex_);
  std::vector<EndedInstance> found;
  for (const auto& [ref, kept] : ended_) {
    if (ref.account != account || (!function.empty() && ref.name != function)) continue;
    std::ranges::copy_if(kept, std::back_inserter(found),
                         [&](const EndedInstance& one) { return one.ended >= since; });
  }
  std::ranges::sort(found, [](const auto& a, const auto& b) { return endedBefore(b, a); });
  if (found.size() > limit) found.resize(limit);
  return found;
}

Result<std::vector<StoredQuota>> FakeStateStore::quotas() {
  const Lock lock(mutex_);
  std::vector<StoredQuota> all;
  for (const auto& [key, value] : quotas_) all.push_back({key.first, key.second, value});
  return all;
}

Result<void> FakeStateStore::putQuota(std::string_view account, std::string_view name,
                                      std::int64_t value) {
  const Lock lock(mutex_);
  if (auto ok = mayWrite(); !ok) return ok;
  if (!accounts_.contains(std::string(account))) {
    return notThere(fmt::format("account {}", account));
  }
  quotas_[{std::string(account), std::string(name)}] = value;
  return {};
}

Result<std::optional<std::string>> FakeStateStore::setting(std::string_view account,
                                                           std::string_view key) {
  const Lock lock(mutex_);
  const auto found = settings_.find({std::string(account), std::string(key)});
  if (found == settings_.end()) return std::nullopt;
  return found->second;
}

Result<void> FakeStateStore::putSetting(std::string_view account, std::string_view key,
                                        std::string_view value) {
  const Lock lock(mutex_);
  if (auto ok = mayWrite(); !ok) return ok;
  settings_[{std::string(account), std::string(key)}] = value;
  return {};
}

}  // namespace okibi::seams
