#include "store/sqlite_state_store.h"

#include <mutex>
#include <utility>

#include "store/database.h"
#include "store/schema.h"
#include "store/tables.h"

namespace okibi::store {
namespace {

class SqliteStateStore : public seams::StateStore {
 public:
  explicit SqliteStateStore(Database database) : database_(std::move(database)) {}

  void sync() override { database_.sync(); }

  Result<std::vector<seams::Account>> accounts() override {
    const Lock lock(mutex_);
    return accounts_.all(database_);
  }
  Result<void> addAccount(const seams::Account& account) override {
    const Lock lock(mutex_);
    return accounts_.add(database_, account);
  }
  Result<std::vector<seams::StoredAccessKey>> accessKeys() override {
    const Lock lock(mutex_);
    return accounts_.keys(database_);
  }
  Result<void> addAccessKey(const seams::StoredAccessKey& key) override {
    const Lock lock(mutex_);
    return accounts_.addKey(database_, key);
  }
  Result<void> removeAccessKey(std::string_view account, std::string_view id) override {
    const Lock lock(mutex_);
    return accounts_.removeKey(database_, account, id);
  }

  Result<std::vector<Function>> functions() override {
    const Lock lock(mutex_);
    return functions_.all(database_);
  }
  Result<void> putFunction(const Function& function) override {
    const Lock lock(mutex_);
    return functions_.put(database_, function);
  }
  Result<void> removeFunction(const FunctionRef& ref) override {
    const Lock lock(mutex_);
    return functions_.remove(database_, ref);
  }

  Result<std::vector<Trigger>> triggers() override {
    const Lock lock(mutex_);
    return triggers_.all(database_);
  }
  Result<void> putTrigger(const Trigger& trigger) override {
    const Lock lock(mutex_);
    return triggers_.put(database_, trigger);
  }
  Result<void> removeTrigger(const FunctionRef& function, std::string_view name) override {
    const Lock lock(mutex_);
    return triggers_.remove(database_, function, name);
  }

  Result<std::vector<seams::AsyncEvent>> asyncEvents() override {
    const Lock lock(mutex_);
    return async_.all(database_);
  }
  Result<void> putAsyncEvent(const seams::AsyncEvent& event, std::string_view payload) override {
    return synced([&] { return async_.put(database_, event, payload); });
  }
  Result<void> updateAsyncEvent(const seams::AsyncEvent& event) override {
    const Lock lock(mutex_);
    return async_.update(database_, event);
  }
  Result<std::string> asyncPayload(std::string_view requestId) override {
    const Lock lock(mutex_);
    return async_.payload(database_, requestId);
  }
  Result<void> removeAsyncEvent(std::string_view requestId) override {
    const Lock lock(mutex_);
    return async_.remove(database_, requestId);
  }

  Result<std::vector<StoredResource>> resources() override {
    const Lock lock(mutex_);
    return resources_.all(database_);
  }
  Result<void> putResource(const StoredResource& resource) override {
    const Lock lock(mutex_);
    return resources_.put(database_, resource);
  }
  Result<void> removeResource(const ResourceId& id, std::size_t kind) override {
    const Lock lock(mutex_);
    return resources_.remove(database_, id, kind);
  }

  Result<seams::FoldPosition> foldPosition() override {
    const Lock lock(mutex_);
    return usage_.position(database_);
  }
  Result<void> fold(const seams::FoldBatch& batch) override {
    return synced([&] { return usage_.fold(database_, batch); });
  }
  Result<std::vector<seams::UsageRow>> usage(std::string_view account, std::chrono::sys_days from,
                                             std::chrono::sys_days to) override {
    const Lock lock(mutex_);
    return usage_.rows(database_, account, from, to);
  }
  Result<std::vector<seams::RecentInvocation>> recentInvocations(const FunctionRef& function,
                                                                 seams::InvocationFilter filter,
                                                                 std::size_t limit) override {
    const Lock lock(mutex_);
    return usage_.recent(database_, function, filter, limit);
  }
  Result<std::vector<seams::HistoryRow>> history(const FunctionRef& function, std::int64_t after,
                                                 WallTime since, std::size_t limit) override {
    const Lock lock(mutex_);
    return usage_.history(database_, function, after, since, limit);
  }

  Result<std::vector<seams::EndedInstance>> endedInstances(std::string_view account,
                                                           std::string_view function,
                                                           WallTime since,
                                                           std::size_t limit) override {
    const Lock lock(mutex_);
    return usage_.endedInstances(database_, account, function, since, limit);
  }

  Result<std::vector<seams::StoredQuota>> quotas() override {
    const Lock lock(mutex_);
    return accounts_.quotas(database_);
  }
  Result<void> putQuota(std::string_view account, std::string_view name,
                        std::int64_t value) override {
    const Lock lock(mutex_);
    return accounts_.putQuota(database_, account, name, value);
  }
  Result<std::optional<std::string>> setting(std::string_view account,
                                             std::string_view key) override {
    const Lock lock(mutex_);
    return accounts_.setting(database_, account, key);
  }
  Result<void> putSetting(std::string_view account, std::string_view key,
                          std::string_view value) override {
    const Lock lock(mutex_);
    return accounts_.putSetting(database_, account, key, value);
  }

 private:
  using Lock = std::scoped_lock<std::mutex>;

  // The wait for the disk is nobody else's.
  template <typename Change>
  Result<void> synced(Change change) {
    {
      const Lock lock(mutex_);
      if (Result<void> done = change(); !done) return done;
    }
    sync();
    return {};
  }

  std::mutex mutex_;
  Database database_;  // before the tables: their statements go first
  AccountTable accounts_;
  FunctionTable functions_;
  TriggerTable triggers_;
  ResourceTable resources_;
  AsyncTable async_;
  UsageTable usage_;
};

}  // namespace

Result<std::unique_ptr<seams::StateStore>> openStateStore(const std::filesystem::path& file) {
  auto database = Database::open(file);
  if (!database) return fail(database.error());
  if (auto ok = database->migrate(migrations()); !ok) return fail(ok.error());
  database->sync();
  return std::make_unique<SqliteStateStore>(std::move(*database));
}

}  // namespace okibi::store
