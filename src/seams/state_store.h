#pragma once
// StateStore: what must outlive the daemon, less the ledger log. Implemented by store/ (SQLite);
// the fake for tests is seams/fake_state_store.h.
//
// A call that returns has happened: every later one sees it, also in the process after this one.
// Loss of power it survives once sync() has returned, which may take the disk's time and is for
// workers, as are putAsyncEvent() and fold(), which include it. Calls may come from several
// threads; each but sync() waits for the one before (usage is folded by a worker while the loop
// thread may store a configuration). The data path makes none. Errors: NotFound, AlreadyExists,
// Exhausted (disk full), Internal (I/O, damage).

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "model/function.h"
#include "model/resource.h"
#include "model/trigger.h"

namespace okibi::seams {

struct Account {
  std::string id;
  WallTime created{};
  bool operator==(const Account&) const = default;
};

// The secret is kept in clear: a HMAC cannot be checked otherwise. The state directory is mode
// 0700.
struct StoredAccessKey {
  std::string account, id, secret;
  WallTime created{};
  bool operator==(const StoredAccessKey&) const = default;
};

struct StoredQuota {
  std::string account, name;
  std::int64_t value = 0;
  bool operator==(const StoredQuota&) const = default;
};

// An asynchronous invocation that was accepted and is not over, less its payload.
struct AsyncEvent {
  FunctionRef function;
  std::string requestId;
  std::string taskId;  // empty: none; else unique among the function's
  std::string qualifier;
  std::string state;  // "Enqueued", "Retrying"
  WallTime enqueued{}, due{}, expires{};
  int failures = 0, throttles = 0;  // tries that the function failed / that never reached it
  int maxRetries = 0;
  bool http =
      false;  // through an HTTP trigger: the payload is the whole request (gateway/async.cc)
  bool operator==(const AsyncEvent&) const = default;
};

// Where folding the ledger log stands (ledger/ledger_log.h, LogPosition).
struct FoldPosition {
  std::uint64_t segment = 1, offset = 0;
  auto operator<=>(const FoldPosition&) const = default;
};

// Sums of one function, UTC day, card type and price under which they were folded. Fields as in
// ledger::Usage; added to what is there.
struct UsageRow {
  FunctionRef function;
  std::chrono::sys_days day{};
  std::string gpuType;
  std::int64_t gpuPriceNanos = 0;  // billionths of the currency per GB·s
  std::int64_t calls = 0, errors = 0, coldCalls = 0, refused = 0;
  std::int64_t activeMs = 0, gpuMs = 0, gpuMbMs = 0, memoryMbMs = 0, cpuMilliMs = 0, diskMbMs = 0;
  std::optional<WallTime> firstUse =
      std::nullopt;  // the earliest of what was added; nullopt: none said
  std::int64_t idleMs = 0, idleGpuMbMs = 0, idleMemoryMbMs = 0;
  bool operator==(const UsageRow&) const = default;
};

enum class InvocationClass : std::uint8_t { Warm, Cold };

// One invocation for `okibi coldstarts` and lists. `record` is the ledger's payload of its
// InvocationRecord (ledger/record_codec.h), opaque here. Newest first where listed.
struct RecentInvocation {
  FunctionRef function;
  std::string requestId;
  WallTime received{};
  InvocationClass kind = InvocationClass::Warm;
  std::string record;
  bool operator==(const RecentInvocation&) const = default;
};

// One request as it can be played again; fields as in ledger::HistoryEntry, times in microseconds.
struct HistoryRow {
  FunctionRef function;
  WallTime received{};
  std::int64_t waitedUs = 0, serviceUs = 0, startUs = 0, initUs = 0;
  int start = 0, fate = 0;  // indices of StartKind and Fate
  int concurrency = 0;
  std::int64_t sliceMb = 0;
  std::int64_t sequence = 0;  // set by the store; grows within a function
  bool operator==(const HistoryRow&) const = default;
};

// An instance that has ended; known by its name, which is unique.
struct EndedInstance {
  FunctionRef function;
  std::string name, version;
  std::string gpuType;  // empty: no GPU
  std::int64_t sliceMb = 0;
  WallTime created{}, ended{};
  std::string reason;
  bool operator==(const EndedInstance&) const = default;
};

struct FoldBatch {
  FoldPosition from;  // must be where folding stands; otherwise AlreadyExists and nothing is added
  FoldPosition to;
  std::vector<UsageRow> usage;
  std::vector<RecentInvocation> invocations;
  std::vector<HistoryRow> history = {};
  std::vector<EndedInstance> ended = {};
};

enum class InvocationFilter { All, ColdOnly };

// Newest invocations kept per function and class.
inline constexpr std::size_t kRecentInvocationsKept = 1000;

class StateStore {
 public:
  virtual ~StateStore() = default;

  // Until all that was stored before has reached the disk.
  virtual void sync() = 0;

  // Accounts and keys
  virtual Result<std::vector<Account>> accounts() = 0;
  virtual Result<void> addAccount(const Account& account) = 0;  // AlreadyExists
  virtual Result<std::vector<StoredAccessKey>> accessKeys() = 0;
  virtual Result<void> addAccessKey(
      const StoredAccessKey& key) = 0;  // AlreadyExists; NotFound: account
  virtual Result<void> removeAccessKey(std::string_view account, std::string_view id) = 0;

  // Functions, with everything in `Function`
  virtual Result<std::vector<Function>> functions() = 0;           // ordered by account, name
  virtual Result<void> putFunction(const Function& function) = 0;  // inserts or replaces
  // And its triggers and resources; usage stays.
  virtual Result<void> removeFunction(const FunctionRef& ref) = 0;

  // Triggers
  virtual Result<std::vector<Trigger>> triggers() = 0;  // ordered by account, function, name
  // Inserts or replaces. NotFound: the function; AlreadyExists: another has this id or
  // label.
  virtual Result<void> putTrigger(const Trigger& trigger) = 0;
  virtual Result<void> removeTrigger(const FunctionRef& function, std::string_view name) = 0;

  // Versions, aliases and the other kinds of model/resource.h. A function's go with it.
  virtual Result<std::vector<StoredResource>> resources() = 0;
  // Inserts or replaces. NotFound: the account.
  virtual Result<void> putResource(const StoredResource& resource) = 0;
  // `kind`: its index in Resource.
  virtual Result<void> removeResource(const ResourceId& id, std::size_t kind) = 0;

  // Asynchronous invocations
  virtual Result<std::vector<AsyncEvent>> asyncEvents() = 0;  // ordered by due, request id
  // AlreadyExists: the request id, or the function's task id. NotFound: the function.
  virtual Result<void> putAsyncEvent(const AsyncEvent& event, std::string_view payload) = 0;
  virtual Result<void> updateAsyncEvent(const AsyncEvent& event) = 0;  // state, due, counts
  virtual Result<std::string> asyncPayload(std::string_view requestId) = 0;
  virtual Result<void> removeAsyncEvent(std::string_view requestId) = 0;

  // Usage
  virtual Result<FoldPosition> foldPosition() = 0;
  // Sums, invocations and the new position in one transaction.
  virtual Result<void> fold(const FoldBatch& batch) = 0;
  // Days `from` to `to`, both included; ordered by function, day, gpuType, price.
  virtual Result<std::vector<UsageRow>> usage(std::string_view account, std::chrono::sys_days from,
                                              std::chrono::sys_days to) = 0;
  virtual Result<std::vector<RecentInvocation>> recentInvocations(const FunctionRef& function,
                                                                  InvocationFilter filter,
                                                                  std::size_t limit) = 0;

  // In order of end, from the first whose sequence is above `after` and which was received at
  // `since` or later. Kept: limits::kHistoryRequests per function, and what is no older than
  // limits::kHistoryAge before the newest.
  virtual Result<std::vector<HistoryRow>> history(const FunctionRef& function, std::int64_t after,
                                                  WallTime since, std::size_t limit) = 0;

  // The newest first that ended at `since` or later; `function` empty: of all the account's. Kept
  // while the function is: limits::kEndedInstances of it, and what is no older than
  // limits::kEndedInstanceAge before its newest. Those of an earlier function of the same name are
  // not.
  virtual Result<std::vector<EndedInstance>> endedInstances(std::string_view account,
                                                            std::string_view function,
                                                            WallTime since, std::size_t limit) = 0;

  // Quota by name ("gpuCards"); absent: the platform's default (base/limits.h)
  virtual Result<std::vector<StoredQuota>> quotas() = 0;  // ordered by account, name
  virtual Result<void> putQuota(std::string_view account, std::string_view name,
                                std::int64_t value) = 0;

  // Settings: small texts of an account; "" is the platform's own
  virtual Result<std::optional<std::string>> setting(std::string_view account,
                                                     std::string_view key) = 0;
  virtual Result<void> putSetting(std::string_view account, std::string_view key,
                                  std::string_view value) = 0;
};

}  // namespace okibi::seams
