#include "conductor/catalog.h"

#include <fmt/format.h>

namespace okibi::conductor {

Result<void> Catalog::load() {
  if (auto loaded = resources_.load(); !loaded) return loaded;
  domains_.load();
  auto quotas = store_.quotas();
  if (!quotas) return fail(quotas.error());
  for (const seams::StoredQuota& quota : *quotas)
    quotas_[{quota.account, quota.name}] = quota.value;
  auto functions = store_.functions();
  if (!functions) return fail(functions.error());
  for (Function& function : *functions) functions_.emplace(function.ref, std::move(function));
  auto triggers = store_.triggers();
  if (!triggers) return fail(triggers.error());
  for (Trigger& trigger : *triggers) {
    const std::pair key{trigger.function, trigger.name};
    triggerLabels_[trigger.label] = key;
    triggers_.emplace(key, std::move(trigger));
  }
  return {};
}

const Function* Catalog::find(const FunctionRef& ref) const {
  const auto found = functions_.find(ref);
  return found == functions_.end() ? nullptr : &found->second;
}

Result<const Function*> Catalog::get(const FunctionRef& ref) const {
  if (const Function* function = find(ref)) return function;
  return fail(ErrorKind::NotFound, fmt::format("function '{}' does not exist", ref.name),
              "FunctionNotFound");
}

std::vector<const Function*> Catalog::list(std::string_view account, std::string_view prefix,
                                           std::string_view startAfter, std::size_t limit) const {
  std::vector<const Function*> page;
  const std::string account_(account);
  auto at = functions_.lower_bound({account_, std::string(std::max(prefix, startAfter))});
  for (; at != functions_.end() && page.size() < limit; ++at) {
    const FunctionRef& ref = at->first;
    if (ref.account != account || !ref.name.starts_with(prefix)) break;
    if (ref.name > startAfter || startAfter.empty()) page.push_back(&at->second);
  }
  return page;
}

std::vector<const Function*> Catalog::all() const {
  std::vector<const Function*> functions;
  for (const auto& [ref, function] : functions_) functions.push_back(&function);
  return functions;
}

Result<void> Catalog::put(Function function) {
  if (auto stored = store_.putFunction(function); !stored) return stored;
  const FunctionRef ref = function.ref;
  functions_.insert_or_assign(ref, std::move(function));
  return {};
}

Result<void> Catalog::remove(const FunctionRef& ref) {
  if (auto found = get(ref); !found) return fail(found.error());
  if (auto removed = store_.removeFunction(ref); !removed) return removed;
  std::erase_if(triggers_, [&](const auto& entry) {
    if (entry.first.first != ref) return false;
    triggerLabels_.erase(entry.second.label);
    return true;
  });
  resources_.forget(ref);
  functions_.erase(ref);
  return {};
}

std::optional<std::int64_t> Catalog::quota(const std::string& account,
                                           std::string_view name) const {
  const auto found = quotas_.find({account, std::string(name)});
  if (found == quotas_.end()) return std::nullopt;
  return found->second;
}

Result<void> Catalog::putQuota(const std::string& account, std::string_view name,
                               std::int64_t value) {
  if (auto stored = store_.putQuota(account, name, value); !stored) return stored;
  quotas_[{account, std::string(name)}] = value;
  return {};
}

std::vector<std::string> Catalog::accountsWithQuota() const {
  std::vector<std::string> accounts;
  for (const auto& [key, value] : quotas_) {
    if (accounts.empty() || accounts.back() != key.first) accounts.push_back(key.first);
  }
  return accounts;
}

const Trigger* Catalog::triggerByLabel(std::string_view label) const {
  const auto found = triggerLabels_.find(label);
  return found == triggerLabels_.end() ? nullptr : &triggers_.at(found->second);
}

Result<const Trigger*> Catalog::trigger(const FunctionRef& function, std::string_view name) const {
  if (auto found = get(function); !found) return fail(found.error());
  const auto found = triggers_.find({function, std::string(name)});
  if (found != triggers_.end()) return &found->second;
  return fail(ErrorKind::NotFound,
              fmt::format("trigger '{}' of function '{}' does not exist", name, function.name),
              "TriggerNotFound");
}

std::vector<const Trigger*> Catalog::triggers(const FunctionRef& function) const {
  std::vector<const Trigger*> list;
  for (auto at = triggers_.lower_bound({function, ""});
       at != triggers_.end() && at->first.first == function; ++at) {
    list.push_back(&at->second);
  }
  return list;
}

std::vector<const Trigger*> Catalog::allTriggers() const {
  std::vector<const Trigger*> list;
  for (const auto& [key, trigger] : triggers_) list.push_back(&trigger);
  return list;
}

Result<void> Catalog::putTrigger(Trigger trigger) {
  if (auto stored = store_.putTrigger(trigger); !stored) return stored;
  const std::pair key{trigger.function, trigger.name};
  triggerLabels_[trigger.label] = key;
  triggers_.insert_or_assign(key, std::move(trigger));
  return {};
}

Result<void> Catalog::removeTrigger(const FunctionRef& function, std::string_view name) {
  auto found = trigger(function, name);
  if (!found) return fail(found.error());
  if (auto removed = store_.removeTrigger(function, name); !removed) return removed;
  triggerLabels_.erase((*found)->label);
  triggers_.erase({function, std::string(name)});
  return {};
}

}  // namespace okibi::conductor
