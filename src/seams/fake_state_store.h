#pragma once
// A StateStore in memory, with the same rules as the real one, and faults on demand.

#include <atomic>
#include <map>
#include <mutex>
#include <tuple>

#include "seams/state_store.h"

namespace okibi::seams {

class FakeStateStore : public StateStore {
 public:
  // The next `count` calls that write fail with `error` and change nothing.
  void failWrites(int count, Error error);

  void sync() override { ++syncs; }
  std::atomic<int> syncs = 0;

  Result<std::vector<Account>> accounts() override;
  Result<void> addAccount(const Account& account) override;
  Result<std::vector<StoredAccessKey>> accessKeys() override;
  Result<void> addAccessKey(const StoredAccessKey& key) override;
  Result<void> removeAccessKey(std::string_view account, std::string_view id) override;
  Result<std::vector<Function>> functions() override;
  Result<void> putFunction(const Function& function) override;
  Result<void> removeFunction(const FunctionRef& ref) override;
  Result<std::vector<Trigger>> triggers() override;
  Result<void> putTrigger(const Trigger& trigger) override;
  Result<void> removeTrigger(const FunctionRef& function, std::string_view name) override;
  Result<std::vector<StoredResource>> resources() override;
  Result<void> putResource(const StoredResource& resource) override;
  Result<void> removeResource(const ResourceId& id, std::size_t kind) override;
  Result<std::vector<AsyncEvent>> asyncEvents() override;
  Result<void> putAsyncEvent(const AsyncEvent& event, std::string_view payload) override;
  Result<void> updateAsyncEvent(const AsyncEvent& event) override;
  Result<std::string> asyncPayload(std::string_view requestId) override;
  Result<void> removeAsyncEvent(std::string_view requestId) override;
  Result<FoldPosition> foldPosition() override;
  Result<void> fold(const FoldBatch& batch) override;
  Result<std::vector<UsageRow>> usage(std::string_view account, std::chrono::sys_days from,
                                      std::chrono::sys_days to) override;
  Result<std::vector<RecentInvocation>> recentInvocations(const FunctionRef& function,
                                                          InvocationFilter filter,
                                                          std::size_t limit) override;
  Result<std::vector<HistoryRow>> history(const FunctionRef& function, std::int64_t after,
                                          WallTime since, std::size_t limit) override;
  Result<std::vector<EndedInstance>> endedInstances(std::string_view account,
                                                    std::string_view function, WallTime since,
                                                    std::size_t limit) override;
  Result<std::vector<StoredQuota>> quotas() override;
  Result<void> putQuota(std::string_view account, std::string_view name,
                        std::int64_t value) override;
  Result<std::optional<std::string>> setting(std::string_view account,
                                             std::string_view key) override;
  Result<void> putSetting(std::string_view account, std::string_view key,
                          std::string_view value) override;

 private:
  using UsageKey = std::tuple<FunctionRef, std::chrono::sys_days, std::string, std::int64_t>;
  using TextKey = std::pair<std::string, std::string>;
  using Lock = std::scoped_lock<std::mutex>;
  Result<void> mayWrite();  // REQUIRES: locked

  std::mutex mutex_;
  int failures_ = 0;
  Error failure_;
  std::map<std::string, Account> accounts_;
  std::map<std::string, StoredAccessKey> keys_;  // by id
  std::map<FunctionRef, Function> functions_;
  std::map<std::pair<FunctionRef, std::string>, Trigger> triggers_;
  std::map<std::tuple<FunctionRef, std::size_t, std::string>, Resource> resources_;
  std::map<std::string, std::pair<AsyncEvent, std::string>, std::less<>> async_;  // by request id
  FoldPosition position_;
  std::map<UsageKey, UsageRow> usage_;
  std::map<FunctionRef, std::vector<RecentInvocation>> recent_;  // oldest first
  std::map<FunctionRef, std::vector<HistoryRow>> history_;       // in order of end
  std::map<FunctionRef, std::vector<EndedInstance>> ended_;      // by end and name
  std::map<TextKey, std::int64_t> quotas_;
  std::map<TextKey, std::string> settings_;
};

}  // namespace okibi::seams
