#include "store/tables.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <tuple>

#include <fmt/format.h>

#include "base/limits.h"
#include "store/function_codec.h"

namespace okibi::store {
namespace {

WallTime timeAt(const Statement& row, int column) {
  return WallTime(std::chrono::milliseconds(row.integer(column)));
}

std::int64_t dayNumber(std::chrono::sys_days day) {
  return day.time_since_epoch().count();
}

template <typename Enum>
Result<Enum> enumNamed(std::string_view text, std::initializer_list<Enum> all) {
  for (const Enum value : all) {
    if (toString(value) == text) return value;
  }
  return fail(ErrorKind::Internal, fmt::format("the database has the unknown state '{}'", text));
}

// What was stored cannot be read: damage, not a caller's mistake.
std::unexpected<Error> damaged(const Error& error, std::string_view what) {
  return fail(ErrorKind::Internal, fmt::format("{}: {}", what, error.message));
}

std::unexpected<Error> notThere(std::string_view what, std::string_view name) {
  return fail(ErrorKind::NotFound, fmt::format("{} {} does not exist", what, name));
}

// Says in words which thing was there already or was missing; other errors stay as they are.
Result<void> named(Result<void> result, std::string_view thing, std::string_view parent) {
  if (result) return result;
  Error error = result.error();
  if (error.kind == ErrorKind::AlreadyExists) error.message = fmt::format("{} exists", thing);
  if (error.kind == ErrorKind::NotFound) error.message = fmt::format("{} does not exist", parent);
  return fail(std::move(error));
}

template <typename T>
Result<std::optional<T>> firstOf(Result<void> queried, std::optional<T> found) {
  if (!queried) return fail(queried.error());
  return found;
}

template <typename T>
Result<std::vector<T>> allOf(Result<void> queried, std::vector<T> found) {
  if (!queried) return fail(queried.error());
  return found;
}

}  // namespace

// ---- Accounts, keys, quotas, settings
// ------------------------------------------------------------

Result<std::vector<seams::Account>> AccountTable::all(Database& database) {
  std::vector<seams::Account> found;
  auto queried = all_.query(database, [&](const Statement& row) -> Result<void> {
    found.push_back({row.text(0), timeAt(row, 1)});
    return {};
  });
  return allOf(std::move(queried), std::move(found));
}

Result<void> AccountTable::add(Database& database, const seams::Account& account) {
  return named(add_.run(database, account.id, account.created), "account " + account.id, "");
}

Result<std::vector<seams::StoredAccessKey>> AccountTable::keys(Database& database) {
  std::vector<seams::StoredAccessKey> found;
  auto queried = keys_.query(database, [&](const Statement& row) -> Result<void> {
    found.push_back({row.text(0), row.text(1), row.text(2), timeAt(row, 3)});
    return {};
  });
  return allOf(std::move(queried), std::move(found));
}

Result<void> AccountTable::addKey(Database& database, const seams::StoredAccessKey& key) {
  return named(addKey_.run(database, key.account, key.id, key.secret, key.created),
               "access key " + key.id, "account " + key.account);
}

Result<void> AccountTable::removeKey(Database& database, std::string_view account,
                                     std::string_view id) {
  if (auto ok = removeKey_.run(database, account, id); !ok) return ok;
  if (database.changes() == 0) return notThere("access key", id);
  return {};
}

Result<std::vector<seams::StoredQuota>> AccountTable::quotas(Database& database) {
  std::vector<seams::StoredQuota> found;
  auto queried = quotas_.query(database, [&](const Statement& row) -> Result<void> {
    found.push_back({row.text(0), row.text(1), row.integer(2)});
    return {};
  });
  return allOf(std::move(queried), std::move(found));
}

Result<void> AccountTable::putQuota(Database& database, std::string_view account,
                                    std::string_view name, std::int64_t value) {
  return named(putQuota_.run(database, account, name, value), "",
               "account " + std::string(account));
}

Result<std::optional<std::string>> AccountTable::setting(Database& database,
                                                         std::string_view account,
                                                         std::string_view key) {
  std::optional<std::string> found;
  auto queried = setting_.query(
      database,
      [&](const Statement& row) -> Result<void> {
        found = row.text(0);
        return {};
      },
      account, key);
  return firstOf(std::move(queried), std::move(found));
}

Result<void> AccountTable::putSetting(Database& database, std::string_view account,
                                      std::string_view key, std::string_view value) {
  return putSetting_.run(database, account, key, value);
}

// ---- Functions
// -----------------------------------------------------------------------------------

namespace {

Result<Function> functionFrom(const Statement& row) {
  Function function;
  function.ref = {row.text(0), row.text(1)};
  function.functionId = row.text(2);
  const auto state = enumNamed(
      row.text(3), {FunctionState::Pending, FunctionState::Active, FunctionState::Failed});
  const auto update = enumNamed(
      row.text(6), {UpdateStatus::Successful, UpdateStatus::InProgress, UpdateStatus::Failed});
  auto spec = decodeSpec(row.text(11));
  if (!state) return fail(state.error());
  if (!update) return fail(update.error());
  if (!spec) return fail(spec.error());
  function.state = *state;
  function.stateReason = row.text(4);
  function.stateReasonCode = row.text(5);
  function.lastUpdate = *update;
  function.lastUpdateReason = row.text(7);
  function.lastUpdateReasonCode = row.text(8);
  function.imageDigest = row.text(9);
  function.revision = static_cast<std::uint64_t>(row.integer(10));
  function.spec = std::move(*spec);
  function.activeRevision = static_cast<std::uint64_t>(row.integer(12));
  if (!row.isNull(13)) {
    auto active = decodeSpec(row.text(13));
    if (!active) return fail(active.error());
    function.active = std::move(*active);
  }
  function.created = timeAt(row, 14);
  function.modified = timeAt(row, 15);
  return function;
}

}  // namespace

Result<std::vector<Function>> FunctionTable::all(Database& database) {
  std::vector<Function> found;
  auto queried = all_.query(database, [&](const Statement& row) -> Result<void> {
    auto function = functionFrom(row);
    if (!function) return damaged(function.error(), "function " + row.text(1));
    found.push_back(std::move(*function));
    return {};
  });
  return allOf(std::move(queried), std::move(found));
}

Result<void> FunctionTable::put(Database& database, const Function& f) {
  std::optional<std::string> active;
  if (f.active) active = encodeSpec(*f.active);
  return named(put_.run(database, f.ref.account, f.ref.name, f.functionId, toString(f.state),
                        f.stateReason, f.stateReasonCode, toString(f.lastUpdate),
                        f.lastUpdateReason, f.lastUpdateReasonCode, f.imageDigest, f.revision,
                        encodeSpec(f.spec), f.activeRevision, active, f.created, f.modified),
               "function " + f.ref.name, "account " + f.ref.account);
}

Result<void> FunctionTable::remove(Database& database, const FunctionRef& ref) {
  auto transaction = Transaction::begin(database);
  if (!transaction) return fail(transaction.error());
  if (auto ok = remove_.run(database, ref.account, ref.name); !ok) return ok;
  if (database.changes() == 0) return notThere("function", ref.name);
  if (auto ok = removeResources_.run(database, ref.account, ref.name); !ok) return ok;
  for (Prepared* remove : {&removeInvocations_, &removeHistory_, &removeEnded_}) {
    if (auto ok = remove->run(database, ref.account, ref.name); !ok) return ok;
  }
  return transaction->commit();
}

// ---- Triggers
// ------------------------------------------------------------------------------------

Result<std::vector<Trigger>> TriggerTable::all(Database& database) {
  std::vector<Trigger> found;
  auto queried = all_.query(database, [&](const Statement& row) -> Result<void> {
    Trigger trigger;
    trigger.function = {row.text(0), row.text(1)};
    trigger.name = row.text(2);
    trigger.id = row.text(3);
    trigger.type = row.text(4);
    trigger.configText = row.text(5);
    auto http = decodeHttpTrigger(row.text(6));
    if (!http) return damaged(http.error(), "trigger " + trigger.name);
    trigger.http = std::move(*http);
    trigger.qualifier = row.text(7);
    trigger.description = row.text(8);
    trigger.created = timeAt(row, 9);
    trigger.modified = timeAt(row, 10);
    trigger.label = row.text(11);
    auto timer = decodeTimer(row.text(12));
    if (!timer) return damaged(timer.error(), "trigger " + trigger.name);
    trigger.timer = std::move(*timer);
    trigger.invocationRole = row.text(13);
    trigger.sourceArn = row.text(14);
    found.push_back(std::move(trigger));
    return {};
  });
  return allOf(std::move(queried), std::move(found));
}

Result<void> TriggerTable::put(Database& database, const Trigger& t) {
  return named(
      put_.run(database, t.function.account, t.function.name, t.name, t.id, t.type, t.configText,
               encodeHttpTrigger(t.http), t.qualifier, t.description, t.created, t.modified,
               t.label, encodeTimer(t.timer), t.invocationRole, t.sourceArn),
      "another trigger with this id or label", "function " + t.function.name);
}

Result<void> TriggerTable::remove(Database& database, const FunctionRef& function,
                                  std::string_view name) {
  if (auto ok = remove_.run(database, function.account, function.name, name); !ok) return ok;
  if (database.changes() == 0) return notThere("trigger", name);
  return {};
}

// ---- Resources
// -----------------------------------------------------------------------------------

Result<std::vector<StoredResource>> ResourceTable::all(Database& database) {
  std::vector<StoredResource> found;
  auto queried = all_.query(database, [&](const Statement& row) -> Result<void> {
    auto value = decodeResource(row.text(2), row.text(4));
    if (!value) return damaged(value.error(), row.text(2) + " " + row.text(3));
    found.push_back({{{row.text(0), row.text(1)}, row.text(3)}, std::move(*value)});
    return {};
  });
  return allOf(std::move(queried), std::move(found));
}

Result<void> ResourceTable::put(Database& database, const StoredResource& resource) {
  const FunctionRef& owner = resource.id.owner;
  return named(
      put_.run(database, owner.account, owner.name, kResourceKinds.at(resource.value.index()),
               resource.id.name, encodeResource(resource.value)),
      "", "account " + owner.account);
}

Result<void> ResourceTable::remove(Database& database, const ResourceId& id, std::size_t kind) {
  const std::string_view word = kResourceKinds.at(kind);
  if (auto ok = remove_.run(database, id.owner.account, id.owner.name, word, id.name); !ok) {
    return ok;
  }
  if (database.changes() == 0) return notThere(word, id.name);
  return {};
}

// ---- Asynchronous invocations
// -----------------------------------------------------------------------

Result<std::vector<seams::AsyncEvent>> AsyncTable::all(Database& database) {
  std::vector<seams::AsyncEvent> found;
  auto queried = all_.query(database, [&](const Statement& row) -> Result<void> {
    seams::AsyncEvent event;
    event.function = {row.text(0), row.text(1)};
    event.requestId = row.text(2);
    event.taskId = row.text(3);
    event.qualifier = row.text(4);
    event.state = row.text(5);
    event.enqueued = timeAt(row, 6);
    event.due = timeAt(row, 7);
    event.expires = timeAt(row, 8);
    event.failures = static_cast<int>(row.integer(9));
    event.throttles = static_cast<int>(row.integer(10));
    event.maxRetries = static_cast<int>(row.integer(11));
    event.http = row.integer(12) != 0;
    found.push_back(std::move(event));
    return {};
  });
  return allOf(std::move(queried), std::move(found));
}

Result<void> AsyncTable::put(Database& database, const seams::AsyncEvent& e,
                             std::string_view payload) {
  // Events without a task id are not compared: NULLs are distinct.
  std::optional<std::string> task;
  if (!e.taskId.empty()) task = e.taskId;
  return named(put_.run(database, e.function.account, e.function.name, e.requestId, task,
                        e.qualifier, e.state, e.enqueued, e.due, e.expires, e.failures, e.throttles,
                        e.maxRetries, Blob{payload}, static_cast<std::int64_t>(e.http)),
               "task " + e.taskId, "function " + e.function.name);
}

Result<void> AsyncTable::update(Database& database, const seams::AsyncEvent& e) {
  auto ok = update_.run(database, e.state, e.due, e.failures, e.throttles, e.requestId);
  if (!ok) return ok;
  if (database.changes() == 0) return notThere("event", e.requestId);
  return {};
}

Result<std::string> AsyncTable::payload(Database& database, std::string_view requestId) {
  std::optional<std::string> found;
  auto queried = payload_.query(
      database,
      [&](const Statement& row) -> Result<void> {
        found = row.text(0);
        return {};
      },
      requestId);
  if (!queried) return fail(queried.error());
  if (!found) return fail(ErrorKind::NotFound, fmt::format("event {} does not exist", requestId));
  return std::move(*found);
}

Result<void> AsyncTable::remove(Database& database, std::string_view requestId) {
  if (auto ok = remove_.run(database, requestId); !ok) return ok;
  if (database.changes() == 0) return notThere("event", requestId);
  return {};
}

// ---- History
// -------------------------------------------------------------------------------------

Result<std::int64_t> HistoryTable::lastSequence(Database& database, const FunctionRef& function) {
  std::int64_t last = 0;
  auto queried = last_.query(
      database,
      [&](const Statement& row) -> Result<void> {
        last = row.isNull(0) ? 0 : row.integer(0);
        return {};
      },
      function.account, function.name);
  if (!queried) return fail(queried.error());
  return last;
}

Result<void> HistoryTable::add(Database& database, const std::vector<seams::HistoryRow>& rows) {
  std::map<FunctionRef, std::pair<std::int64_t, WallTime>> touched;  // last sequence, newest
  for (const seams::HistoryRow& one : rows) {
    const auto [at, isNew] = touched.try_emplace(one.function);
    auto& [sequence, newest] = at->second;
    if (isNew) {
      const auto last = lastSequence(database, one.function);
      if (!last) return fail(last.error());
      sequence = *last;
    }
    newest = std::max(newest, one.received);
    auto added = add_.run(database, one.function.account, one.function.name, ++sequence,
                          one.received, one.waitedUs, one.serviceUs, one.startUs, one.initUs,
                          one.start, one.fate, one.concurrency, one.sliceMb);
    if (!added) return added;
  }
  for (const auto& [function, last] : touched) {
    if (auto ok = trim(database, function, last.first, last.second); !ok) return ok;
  }
  return {};
}

Result<void> HistoryTable::trim(Database& database, const FunctionRef& function,
                                std::int64_t lastSequence, WallTime newest) {
  const auto most = static_cast<std::int64_t>(limits::kHistoryRequests);
  auto trimmed = trimCount_.run(database, function.account, function.name, lastSequence - most);
  if (!trimmed) return trimmed;
  return trimAge_.run(database, function.account, function.name,
                      WallTime(newest - limits::kHistoryAge));
}

Result<std::vector<seams::HistoryRow>> HistoryTable::rows(Database& database,
                                                          const FunctionRef& function,
                                                          std::int64_t after, WallTime since,
                                                          std::size_t limit) {
  std::vector<seams::HistoryRow> found;
  auto queried = rows_.query(
      database,
      [&](const Statement& row) -> Result<void> {
        seams::HistoryRow one;
        one.function = {row.text(0), row.text(1)};
        one.sequence = row.integer(2);
        one.received = timeAt(row, 3);
        one.waitedUs = row.integer(4);
        one.serviceUs = row.integer(5);
        one.startUs = row.integer(6);
        one.initUs = row.integer(7);
        one.start = static_cast<int>(row.integer(8));
        one.fate = static_cast<int>(row.integer(9));
        one.concurrency = static_cast<int>(row.integer(10));
        one.sliceMb = row.integer(11);
        found.push_back(std::move(one));
        return {};
      },
      function.account, function.name, after, since,
      static_cast<std::int64_t>(std::min(limit, limits::kHistoryRequests)));
  return allOf(std::move(queried), std::move(found));
}

// ---- Ended instances
// -------------------------------------------------------------------------------

Result<void> EndedInstanceTable::add(Database& database,
                                     const std::vector<seams::EndedInstance>& rows) {
  std::map<FunctionRef, WallTime> touched;  // when the newest ended
  for (const seams::EndedInstance& one : rows) {
    auto added = add_.run(database, one.function.account, one.function.name, one.ended, one.name,
                          one.version, one.gpuType, one.sliceMb, one.created, one.reason);
    if (!added) return added;
    WallTime& newest = touched.try_emplace(one.function, one.ended).first->second;
    newest = std::max(newest, one.ended);
  }
  for (const auto& [function, newest] : touched) {
    if (auto ok = trim(database, function, newest); !ok) return ok;
  }
  return {};
}

Result<void> EndedInstanceTable::trim(Database& database, const FunctionRef& function,
                                      WallTime newest) {
  auto trimmed = trimCount_.run(database, function.account, function.name,
                                static_cast<std::int64_t>(limits::kEndedInstances));
  if (!trimmed) return trimmed;
  return trimAge_.run(database, function.account, function.name,
                      WallTime(newest - limits::kEndedInstanceAge));
}

Result<std::vector<seams::EndedInstance>> EndedInstanceTable::rows(Database& database,
                                                                   std::string_view account,
                                                                   std::string_view function,
                                                                   WallTime since,
                                                                   std::size_t limit) {
  std::vector<seams::EndedInstance> found;
  const auto take = [&](const Statement& row) -> Result<void> {
    found.push_back({.function = {row.text(0), row.text(1)},
                     .name = row.text(3),
                     .version = row.text(4),
                     .gpuType = row.text(5),
                     .sliceMb = row.integer(6),
                     .created = timeAt(row, 7),
                     .ended = timeAt(row, 2),
                     .reason = row.text(8)});
    return {};
  };
  const auto most = static_cast<std::int64_t>(limit);
  auto queried = function.empty()
                     ? ofAccount_.query(database, take, account, since, most)
                     : ofFunction_.query(database, take, account, function, since, most);
  return allOf(std::move(queried), std::move(found));
}

// ---- Usage
// ---------------------------------------------------------------------------------------

Result<UsageTable::State> UsageTable::state(Database& database) {
  State found;
  auto queried = state_.query(database, [&](const Statement& row) -> Result<void> {
    found.position = {static_cast<std::uint64_t>(row.integer(0)),
                      static_cast<std::uint64_t>(row.integer(1))};
    found.nextSequence = row.integer(2);
    return {};
  });
  if (!queried) return fail(queried.error());
  return found;
}

Result<seams::FoldPosition> UsageTable::position(Database& database) {
  const auto now = state(database);
  if (!now) return fail(now.error());
  return now->position;
}

Result<void> UsageTable::fold(Database& database, const seams::FoldBatch& batch) {
  auto transaction = Transaction::begin(database);
  if (!transaction) return fail(transaction.error());
  auto now = state(database);
  if (!now) return fail(now.error());
  if (now->position != batch.from) {
    return fail(ErrorKind::AlreadyExists,
                fmt::format("the ledger is folded up to segment {} byte {}", now->position.segment,
                            now->position.offset));
  }
  for (const seams::UsageRow& row : batch.usage) {
    if (auto ok = addUsage(database, row); !ok) return ok;
  }
  if (auto ok = addInvocations(database, batch.invocations, now->nextSequence); !ok) return ok;
  if (auto ok = history_.add(database, batch.history); !ok) return ok;
  if (auto ok = ended_.add(database, batch.ended); !ok) return ok;
  auto moved = setState_.run(database, batch.to.segment, batch.to.offset, now->nextSequence);
  if (!moved) return moved;
  return transaction->commit();
}

Result<void> UsageTable::addUsage(Database& database, const seams::UsageRow& row) {
  return addUsage_.run(database, row.function.account, row.function.name, dayNumber(row.day),
                       row.gpuType, row.gpuPriceNanos, row.calls, row.errors, row.coldCalls,
                       row.refused, row.activeMs, row.gpuMs, row.gpuMbMs, row.memoryMbMs,
                       row.cpuMilliMs, row.diskMbMs, row.firstUse, row.idleMs, row.idleGpuMbMs,
                       row.idleMemoryMbMs);
}

Result<void> UsageTable::addInvocations(Database& database,
                                        const std::vector<seams::RecentInvocation>& invocations,
                                        std::int64_t& nextSequence) {
  std::set<std::tuple<FunctionRef, int>> touched;
  for (const seams::RecentInvocation& one : invocations) {
    const int cold = one.kind == seams::InvocationClass::Cold ? 1 : 0;
    auto added = addInvocation_.run(database, one.function.account, one.function.name, cold,
                                    nextSequence++, one.requestId, one.received, Blob{one.record});
    if (!added) return added;
    touched.emplace(one.function, cold);
  }
  for (const auto& [function, cold] : touched) {
    auto trimmed = trim_.run(database, function.account, function.name, cold,
                             static_cast<std::int64_t>(seams::kRecentInvocationsKept));
    if (!trimmed) return trimmed;
  }
  return {};
}

Result<std::vector<seams::UsageRow>> UsageTable::rows(Database& database, std::string_view account,
                                                      std::chrono::sys_days from,
                                                      std::chrono::sys_days to) {
  std::vector<seams::UsageRow> found;
  auto queried = rows_.query(
      database,
      [&](const Statement& row) -> Result<void> {
        seams::UsageRow usage;
        usage.function = {row.text(0), row.text(1)};
        usage.day = std::chrono::sys_days(std::chrono::days(row.integer(2)));
        usage.gpuType = row.text(3);
        usage.gpuPriceNanos = row.integer(4);
        int column = 5;
        for (std::int64_t* field : {&usage.calls, &usage.errors, &usage.coldCalls, &usage.refused,
                                    &usage.activeMs, &usage.gpuMs, &usage.gpuMbMs,
                                    &usage.memoryMbMs, &usage.cpuMilliMs, &usage.diskMbMs}) {
          *field = row.integer(column++);
        }
        if (!row.isNull(column)) usage.firstUse = timeAt(row, column);
        for (std::int64_t* field : {&usage.idleMs, &usage.idleGpuMbMs, &usage.idleMemoryMbMs}) {
          *field = row.integer(++column);
        }
        found.push_back(std::move(usage));
        return {};
      },
      account, dayNumber(from), dayNumber(to));
  return allOf(std::move(queried), std::move(found));
}

Result<std::vector<seams::RecentInvocation>> UsageTable::recent(Database& database,
                                                                const FunctionRef& function,
                                                                seams::InvocationFilter filter,
                                                                std::size_t limit) {
  std::vector<seams::RecentInvocation> found;
  const int coldFrom = filter == seams::InvocationFilter::ColdOnly ? 1 : 0;
  // Twice what is kept is all there can be; SQLite reads a negative limit as none.
  const std::size_t bounded = std::min(limit, 2 * seams::kRecentInvocationsKept);
  auto queried = recent_.query(
      database,
      [&](const Statement& row) -> Result<void> {
        found.push_back(
            {{row.text(0), row.text(1)},
             row.text(2),
             timeAt(row, 3),
             row.integer(4) == 1 ? seams::InvocationClass::Cold : seams::InvocationClass::Warm,
             row.text(5)});
        return {};
      },
      function.account, function.name, coldFrom, static_cast<std::int64_t>(bounded));
  return allOf(std::move(queried), std::move(found));
}

}  // namespace okibi::store
