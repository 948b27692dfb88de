#pragma once
// Catalog: what is deployed. Everything is in memory, loaded from the StateStore at start; a change
// is stored before it is visible (write-through), and on disk after sync(), for which its answer
// waits. Loop thread only, but for sync(). Errors carry Function
// Compute's codes (FunctionNotFound, FunctionAlreadyExists, TriggerNotFound, …).

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "conductor/domain_table.h"
#include "conductor/resource_map.h"
#include "model/function.h"
#include "model/trigger.h"
#include "seams/state_store.h"

namespace okibi::conductor {

class Catalog {
 public:
  explicit Catalog(seams::StateStore& store)
      : store_(store), resources_(store), domains_(resources_) {}

  Result<void> load();
  // As StateStore::sync.
  void sync() { store_.sync(); }

  // Functions. Pointers are valid until the function is removed or replaced.
  const Function* find(const FunctionRef& ref) const;
  Result<const Function*> get(const FunctionRef& ref) const;  // FunctionNotFound
  // Of one account, names beginning with `prefix`, after `startAfter`, in order of name.
  std::vector<const Function*> list(std::string_view account, std::string_view prefix,
                                    std::string_view startAfter, std::size_t limit) const;
  std::vector<const Function*> all() const;
  Result<void> put(Function function);  // inserts or replaces
  Result<void> remove(const FunctionRef& ref);

  // Versions, aliases and the other kinds of model/resource.h.
  ResourceMap& resources() { return resources_; }
  const ResourceMap& resources() const { return resources_; }

  // Custom domains.
  DomainTable& domains() { return domains_; }
  const DomainTable& domains() const { return domains_; }

  // Quota of an account by name; nullopt: the platform's default.
  std::optional<std::int64_t> quota(const std::string& account, std::string_view name) const;
  Result<void> putQuota(const std::string& account, std::string_view name, std::int64_t value);
  std::vector<std::string> accountsWithQuota() const;

  // Triggers.
  const Trigger* triggerByLabel(std::string_view label) const;
  Result<const Trigger*> trigger(const FunctionRef& function, std::string_view name) const;
  std::vector<const Trigger*> triggers(const FunctionRef& function) const;
  std::vector<const Trigger*> allTriggers() const;
  Result<void> putTrigger(Trigger trigger);
  Result<void> removeTrigger(const FunctionRef& function, std::string_view name);

 private:
  seams::StateStore& store_;
  ResourceMap resources_;
  DomainTable domains_;
  std::map<std::pair<std::string, std::string>, std::int64_t> quotas_;  // by account and name
  std::map<FunctionRef, Function> functions_;
  std::map<std::pair<FunctionRef, std::string>, Trigger> triggers_;
  std::map<std::string, std::pair<FunctionRef, std::string>, std::less<>> triggerLabels_;
};

}  // namespace okibi::conductor
