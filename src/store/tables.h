#pragma once
// The tables of the state store, each with its statements. Inside store only.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "seams/state_store.h"
#include "store/prepared.h"

namespace okibi::store {

class AccountTable {
 public:
  Result<std::vector<seams::Account>> all(Database& database);
  Result<void> add(Database& database, const seams::Account& account);
  Result<std::vector<seams::StoredAccessKey>> keys(Database& database);
  Result<void> addKey(Database& database, const seams::StoredAccessKey& key);
  Result<void> removeKey(Database& database, std::string_view account, std::string_view id);
  Result<std::vector<seams::StoredQuota>> quotas(Database& database);
  Result<void> putQuota(Database& database, std::string_view account, std::string_view name,
                        std::int64_t value);
  Result<std::optional<std::string>> setting(Database& database, std::string_view account,
                                             std::string_view key);
  Result<void> putSetting(Database& database, std::string_view account, std::string_view key,
                          std::string_view value);

 private:
  Prepared all_{"SELECT account, created FROM accounts ORDER BY account"};
  Prepared add_{"INSERT INTO accounts (account, created) VALUES (?, ?)"};
  Prepared keys_{"SELECT account, id, secret, created FROM access_keys ORDER BY account, id"};
  Prepared addKey_{"INSERT INTO access_keys (account, id, secret, created) VALUES (?, ?, ?, ?)"};
  Prepared removeKey_{"DELETE FROM access_keys WHERE account = ? AND id = ?"};
  Prepared quotas_{"SELECT account, name, value FROM quotas ORDER BY account, name"};
  Prepared putQuota_{
      "INSERT INTO quotas (account, name, value) VALUES (?, ?, ?) "
      "ON CONFLICT (account, name) DO UPDATE SET value = excluded.value"};
  Prepared setting_{"SELECT value FROM settings WHERE account = ? AND key = ?"};
  Prepared putSetting_{
      "INSERT INTO settings (account, key, value) VALUES (?, ?, ?) "
      "ON CONFLICT (account, key) DO UPDATE SET value = excluded.value"};
};

class FunctionTable {
 public:
  Result<std::vector<Function>> all(Database& database);
  Result<void> put(Database& database, const Function& function);
  Result<void> remove(Database& database, const FunctionRef& ref);

 private:
  Prepared all_{
      "SELECT account, name, function_id, state, state_reason, state_reason_code, last_update, "
      "last_update_reason, last_update_reason_code, image_digest, revision, spec, "
      "active_revision, active_spec, created, modified FROM functions ORDER BY account, name"};
  // An upsert and not REPLACE, which would delete the row first and its triggers with it.
  Prepared put_{
      "INSERT INTO functions (account, name, function_id, state, state_reason, "
      "state_reason_code, last_update, last_update_reason, last_update_reason_code, "
      "image_digest, revision, spec, active_revision, active_spec, created, modified) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
      "ON CONFLICT (account, name) DO UPDATE SET function_id = excluded.function_id, "
      "state = excluded.state, state_reason = excluded.state_reason, "
      "state_reason_code = excluded.state_reason_code, last_update = excluded.last_update, "
      "last_update_reason = excluded.last_update_reason, "
      "last_update_reason_code = excluded.last_update_reason_code, "
      "image_digest = excluded.image_digest, revision = excluded.revision, "
      "spec = excluded.spec, active_revision = excluded.active_revision, "
      "active_spec = excluded.active_spec, created = excluded.created, "
      "modified = excluded.modified"};
  Prepared remove_{"DELETE FROM functions WHERE account = ? AND name = ?"};
  Prepared removeResources_{"DELETE FROM resources WHERE account = ? AND function = ?"};
  Prepared removeInvocations_{"DELETE FROM invocations WHERE account = ? AND function = ?"};
  Prepared removeHistory_{"DELETE FROM history WHERE account = ? AND function = ?"};
  Prepared removeEnded_{"DELETE FROM ended_instances WHERE account = ? AND function = ?"};
};

class TriggerTable {
 public:
  Result<std::vector<Trigger>> all(Database& database);
  Result<void> put(Database& database, const Trigger& trigger);
  Result<void> remove(Database& database, const FunctionRef& function, std::string_view name);

 private:
  Prepared all_{
      "SELECT account, function, name, id, type, config_text, http, qualifier, description, "
      "created, modified, label, timer, invocation_role, source_arn FROM triggers "
      "ORDER BY account, function, name"};
  Prepared put_{
      "INSERT INTO triggers (account, function, name, id, type, config_text, http, qualifier, "
      "description, created, modified, label, timer, invocation_role, source_arn) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
      "ON CONFLICT (account, function, name) DO UPDATE SET id = excluded.id, "
      "type = excluded.type, config_text = excluded.config_text, http = excluded.http, "
      "qualifier = excluded.qualifier, description = excluded.description, "
      "created = excluded.created, modified = excluded.modified, label = excluded.label, "
      "timer = excluded.timer, invocation_role = excluded.invocation_role, "
      "source_arn = excluded.source_arn"};
  Prepared remove_{"DELETE FROM triggers WHERE account = ? AND function = ? AND name = ?"};
};

class ResourceTable {
 public:
  Result<std::vector<StoredResource>> all(Database& database);
  Result<void> put(Database& database, const StoredResource& resource);
  Result<void> remove(Database& database, const ResourceId& id, std::size_t kind);

 private:
  Prepared all_{
      "SELECT account, function, kind, name, body FROM resources "
      "ORDER BY account, function, kind, name"};
  Prepared put_{
      "INSERT INTO resources (account, function, kind, name, body) VALUES (?, ?, ?, ?, ?) "
      "ON CONFLICT (account, function, kind, name) DO UPDATE SET body = excluded.body"};
  Prepared remove_{
      "DELETE FROM resources WHERE account = ? AND function = ? AND kind = ? AND name = ?"};
};

class AsyncTable {
 public:
  Result<std::vector<seams::AsyncEvent>> all(Database& database);
  Result<void> put(Database& database, const seams::AsyncEvent& event, std::string_view payload);
  Result<void> update(Database& database, const seams::AsyncEvent& event);
  Result<std::string> payload(Database& database, std::string_view requestId);
  Result<void> remove(Database& database, std::string_view requestId);

 private:
  Prepared all_{
      "SELECT account, function, request_id, task_id, qualifier, state, enqueued, due, expires, "
      "failures, throttles, max_retries, http FROM async_events ORDER BY due, request_id"};
  Prepared put_{
      "INSERT INTO async_events (account, function, request_id, task_id, qualifier, state, "
      "enqueued, due, expires, failures, throttles, max_retries, payload, http) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"};
  Prepared update_{
      "UPDATE async_events SET state = ?, due = ?, failures = ?, throttles = ? "
      "WHERE request_id = ?"};
  Prepared payload_{"SELECT payload FROM async_events WHERE request_id = ?"};
  Prepared remove_{"DELETE FROM async_events WHERE request_id = ?"};
};

class HistoryTable {
 public:
  Result<void> add(Database& database, const std::vector<seams::HistoryRow>& rows);
  Result<std::vector<seams::HistoryRow>> rows(Database& database, const FunctionRef& function,
                                              std::int64_t after, WallTime since,
                                              std::size_t limit);

 private:
  Result<std::int64_t> lastSequence(Database& database, const FunctionRef& function);
  Result<void> trim(Database& database, const FunctionRef& function, std::int64_t lastSequence,
                    WallTime newest);

  Prepared last_{"SELECT max(sequence) FROM history WHERE account = ? AND function = ?"};
  Prepared add_{
      "INSERT INTO history (account, function, sequence, received, waited_us, service_us, "
      "start_us, init_us, start, fate, concurrency, slice_mb) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"};
  // Sequences have no holes, so this and what is older than a time go without counting.
  Prepared trimCount_{"DELETE FROM history WHERE account = ? AND function = ? AND sequence <= ?"};
  Prepared trimAge_{
      "DELETE FROM history WHERE account = ?1 AND function = ?2 AND sequence < "
      "(SELECT sequence FROM history WHERE account = ?1 AND function = ?2 AND received >= ?3 "
      "ORDER BY sequence LIMIT 1)"};
  Prepared rows_{
      "SELECT account, function, sequence, received, waited_us, service_us, start_us, init_us, "
      "start, fate, concurrency, slice_mb FROM history WHERE account = ? AND function = ? AND "
      "sequence > ? AND received >= ? ORDER BY sequence LIMIT ?"};
};

class EndedInstanceTable {
 public:
  Result<void> add(Database& database, const std::vector<seams::EndedInstance>& rows);
  Result<std::vector<seams::EndedInstance>> rows(Database& database, std::string_view account,
                                                 std::string_view function, WallTime since,
                                                 std::size_t limit);

 private:
  Result<void> trim(Database& database, const FunctionRef& function, WallTime newest);

  // Most instances of a function that is deleted end after it.
  Prepared add_{
      "INSERT INTO ended_instances (account, function, ended, name, version, gpu_type, slice_mb, "
      "created, reason) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 WHERE EXISTS (SELECT 1 FROM "
      "functions WHERE account = ?1 AND name = ?2 AND created <= ?8) ON CONFLICT DO NOTHING"};
  Prepared trimCount_{
      "DELETE FROM ended_instances WHERE account = ?1 AND function = ?2 AND (ended, name) <= "
      "(SELECT ended, name FROM ended_instances WHERE account = ?1 AND function = ?2 "
      "ORDER BY ended DESC, name DESC LIMIT 1 OFFSET ?3)"};
  Prepared trimAge_{"DELETE FROM ended_instances WHERE account = ? AND function = ? AND ended < ?"};
  Prepared ofFunction_{
      "SELECT account, function, ended, name, version, gpu_type, slice_mb, created, reason FROM "
      "ended_instances WHERE account = ? AND function = ? AND ended >= ? "
      "ORDER BY ended DESC, name DESC LIMIT ?"};
  Prepared ofAccount_{
      "SELECT account, function, ended, name, version, gpu_type, slice_mb, created, reason FROM "
      "ended_instances WHERE account = ? AND ended >= ? ORDER BY ended DESC, name DESC LIMIT ?"};
};

class UsageTable {
 public:
  Result<seams::FoldPosition> position(Database& database);
  Result<void> fold(Database& database, const seams::FoldBatch& batch);
  Result<std::vector<seams::UsageRow>> rows(Database& database, std::string_view account,
                                            std::chrono::sys_days from, std::chrono::sys_days to);
  Result<std::vector<seams::RecentInvocation>> recent(Database& database,
                                                      const FunctionRef& function,
                                                      seams::InvocationFilter filter,
                                                      std::size_t limit);
  Result<std::vector<seams::HistoryRow>> history(Database& database, const FunctionRef& function,
                                                 std::int64_t after, WallTime since,
                                                 std::size_t limit) {
    return history_.rows(database, function, after, since, limit);
  }
  Result<std::vector<seams::EndedInstance>> endedInstances(Database& database,
                                                           std::string_view account,
                                                           std::string_view function,
                                                           WallTime since, std::size_t limit) {
    return ended_.rows(database, account, function, since, limit);
  }

 private:
  struct State {
    seams::FoldPosition position;
    std::int64_t nextSequence = 1;
  };
  Result<State> state(Database& database);
  Result<void> addUsage(Database& database, const seams::UsageRow& row);
  Result<void> addInvocations(Database& database,
                              const std::vector<seams::RecentInvocation>& invocations,
                              std::int64_t& nextSequence);

  HistoryTable history_;
  EndedInstanceTable ended_;
  Prepared state_{"SELECT segment, offset, next_sequence FROM fold_state"};
  Prepared setState_{"UPDATE fold_state SET segment = ?, offset = ?, next_sequence = ?"};
  Prepared addUsage_{
      "INSERT INTO usage (account, function, day, gpu_type, gpu_price, calls, errors, "
      "cold_calls, refused, active_ms, gpu_ms, gpu_mb_ms, memory_mb_ms, cpu_milli_ms, "
      "disk_mb_ms, first_use, idle_ms, idle_gpu_mb_ms, idle_memory_mb_ms) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
      "ON CONFLICT (account, function, day, gpu_type, gpu_price) DO UPDATE SET "
      "calls = calls + excluded.calls, errors = errors + excluded.errors, "
      "cold_calls = cold_calls + excluded.cold_calls, refused = refused + excluded.refused, "
      "active_ms = active_ms + excluded.active_ms, gpu_ms = gpu_ms + excluded.gpu_ms, "
      "gpu_mb_ms = gpu_mb_ms + excluded.gpu_mb_ms, "
      "memory_mb_ms = memory_mb_ms + excluded.memory_mb_ms, "
      "cpu_milli_ms = cpu_milli_ms + excluded.cpu_milli_ms, "
      "disk_mb_ms = disk_mb_ms + excluded.disk_mb_ms, "
      "idle_ms = idle_ms + excluded.idle_ms, "
      "idle_gpu_mb_ms = idle_gpu_mb_ms + excluded.idle_gpu_mb_ms, "
      "idle_memory_mb_ms = idle_memory_mb_ms + excluded.idle_memory_mb_ms, "
      "first_use = min(coalesce(first_use, excluded.first_use), "
      "coalesce(excluded.first_use, first_use))"};
  Prepared rows_{
      "SELECT account, function, day, gpu_type, gpu_price, calls, errors, cold_calls, refused, "
      "active_ms, gpu_ms, gpu_mb_ms, memory_mb_ms, cpu_milli_ms, disk_mb_ms, first_use, "
      "idle_ms, idle_gpu_mb_ms, idle_memory_mb_ms FROM usage "
      "WHERE account = ? AND day BETWEEN ? AND ? "
      "ORDER BY account, function, day, gpu_type, gpu_price"};
  Prepared addInvocation_{
      "INSERT INTO invocations (account, function, cold, sequence, request_id, received, record) "
      "VALUES (?, ?, ?, ?, ?, ?, ?)"};
  // Keeps the newest: everything up to the first one too many goes.
  Prepared trim_{
      "DELETE FROM invocations WHERE account = ?1 AND function = ?2 AND cold = ?3 AND "
      "sequence <= (SELECT sequence FROM invocations WHERE account = ?1 AND function = ?2 AND "
      "cold = ?3 ORDER BY sequence DESC LIMIT 1 OFFSET ?4)"};
  Prepared recent_{
      "SELECT account, function, request_id, received, cold, record FROM invocations "
      "WHERE account = ? AND function = ? AND cold >= ? ORDER BY sequence DESC LIMIT ?"};
};

}  // namespace okibi::store
