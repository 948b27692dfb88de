#pragma once
// Accounting: the ledger put to work. Meters instances, writes records to the log before an
// answer's last byte leaves, and folds what is durable into the store. Loop thread only; what waits
// for the disk (fdatasync, folding, a new segment of the log) is done by one worker at a time.

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.h"
#include "ledger/ledger_log.h"
#include "ledger/price_book.h"
#include "ledger/usage_meter.h"
#include "net/event.h"
#include "net/loop.h"
#include "seams/state_store.h"

namespace okibi::conductor {

// One function's usage, or the sum of an account's.
struct UsageSummary {
  std::string function;  // empty for the total
  ledger::Usage usage;
  Money cost;
  WallTime since{};  // of its first use; now, if there was none
  Money alwaysOn;    // one whole card from then on, for comparison
};
struct UsageReport {
  std::string currency;
  std::vector<UsageSummary> functions;  // by name
  UsageSummary total;
};

class Accounting {
 public:
  // Opens the log, closes what an earlier daemon left open, and folds it. Outlives the loop's run.
  static Result<std::unique_ptr<Accounting>> open(net::Loop& loop,
                                                  const std::filesystem::path& directory,
                                                  seams::StateStore& store,
                                                  ledger::PriceBook prices, WallTime now,
                                                  ledger::LogOptions options = {});

  void instanceOpened(ledger::InstanceTerms terms, ledger::Moment now);
  void instanceClosed(const std::string& instance, const std::string& reason, ledger::Moment now);
  ledger::UseId begin(const std::string& instance, ledger::UseKind kind, ledger::Moment now);
  // While `kept`, time without uses is metered as idle.
  void keepIdle(const std::string& instance, const std::string& gpuType, bool kept,
                ledger::Moment now);
  void endHook(ledger::UseId use, ledger::Moment now);
  // The record is on the log when it has returned and onLog() has: then the answer may leave.
  Result<void> endRequest(ledger::UseId use, ledger::InvocationRecord record, ledger::Moment now);
  // An invocation that never reached an instance.
  Result<void> refused(ledger::InvocationRecord record);
  // At once, but while a new segment is being made; then the records wait for it.
  net::Task<Result<void>> onLog();

  // Each second: heartbeats, fdatasync, folding, a new segment when the log's is full.
  net::Task<void> tick(ledger::Moment now);
  // fdatasync and folding of what is on the log now.
  net::Task<Result<void>> flush();

  // `function` empty: all of the account's.
  net::Task<Result<UsageReport>> usage(std::string account, std::string function, WallTime now);
  // Of all `functions` together, newest first.
  net::Task<Result<std::vector<ledger::InvocationRecord>>> invocations(
      std::vector<FunctionRef> functions, seams::InvocationFilter filter, std::size_t limit);
  // As seams::StateStore::history, of all that has ended by now.
  net::Task<Result<std::vector<seams::HistoryRow>>> history(FunctionRef function,
                                                            std::int64_t after, WallTime since,
                                                            std::size_t limit);
  // As seams::StateStore::endedInstances, of all that have ended by now; none older than
  // limits::kEndedInstanceAge before `now`.
  net::Task<Result<std::vector<seams::EndedInstance>>> endedInstances(std::string account,
                                                                      std::string function,
                                                                      WallTime now,
                                                                      std::size_t limit);
  const ledger::PriceBook& prices() const { return prices_; }

 private:
  Accounting(net::Loop& loop, seams::StateStore& store, ledger::PriceBook prices,
             ledger::LedgerLog log)
      : loop_(loop), store_(store), prices_(std::move(prices)), log_(std::move(log)) {}
  // Appends what an earlier failure left unwritten, then `records`. On failure all of them wait for
  // the next call (the log cuts a failed write back), so that a full disk loses no usage.
  Result<void> write(ledger::Records records);
  void writeOrWarn(ledger::Records records);
  net::Task<Result<void>> turnSegment();
  UsageReport report(const std::vector<seams::UsageRow>& rows, const std::string& function,
                     WallTime now) const;

  // On a worker
  Result<void> syncAndFold();
  Result<void> fold();
  Result<std::vector<ledger::InvocationRecord>> recent(const std::vector<FunctionRef>& functions,
                                                       seams::InvocationFilter filter,
                                                       std::size_t limit);

  net::Loop& loop_;
  seams::StateStore& store_;
  ledger::PriceBook prices_;
  ledger::LedgerLog log_;
  ledger::UsageMeter meter_;
  ledger::Records unwritten_;  // at most kUnwritten; beyond, the daemon cannot account and stops

  enum class Flushing { No, Yes } flushing_ = Flushing::No;  // by tick()
  // A new segment begins with what the meter knew when it was ordered: what comes after waits.
  enum class Turning { No, Yes } turning_ = Turning::No;
  std::vector<std::shared_ptr<net::OneShot<Result<void>>>> waiting_;  // in onLog()
  std::mutex writing_;  // one worker at the log's disk and the store's sums
};

}  // namespace okibi::conductor
