#pragma once
// Accounting: the ledger put to work. Meters instances, writes records to the log before an
// answer's last byte leaves, and folds what is durable into the store. Loop thread only.

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "ledger/ledger_log.h"
#include "ledger/price_book.h"
#include "ledger/usage_meter.h"
#include "seams/state_store.h"

namespace okibi::conductor {

// One function's usage, or the sum of an account's.
struct UsageSummary {
  std::string function;  // empty for the total
  ledger::Usage usage;
  Money cost;
  Money alwaysOn;  // one whole card for the same span of time, for comparison
};
struct UsageReport {
  std::string currency;
  WallTime since{};
  std::vector<UsageSummary> functions;  // by name
  UsageSummary total;
};

class Accounting {
 public:
  // Opens the log, closes what an earlier daemon left open, and folds it.
  static Result<std::unique_ptr<Accounting>> open(const std::filesystem::path& directory,
                                                  seams::StateStore& store,
                                                  ledger::PriceBook prices, WallTime now);

  void instanceOpened(ledger::InstanceTerms terms, ledger::Moment now);
  void instanceClosed(const std::string& instance, const std::string& reason, ledger::Moment now);
  ledger::UseId begin(const std::string& instance, ledger::UseKind kind, ledger::Moment now);
  void endHook(ledger::UseId use, ledger::Moment now);
  // On the log when it returns: the answer may leave.
  Result<void> endRequest(ledger::UseId use, ledger::InvocationRecord record, ledger::Moment now);
  // An invocation that never reached an instance.
  Result<void> refused(ledger::InvocationRecord record);

  // Each second: heartbeats, fdatasync, folding.
  void tick(ledger::Moment now);
  Result<void> flush();

  Result<UsageReport> usage(const std::string& account, const std::string& function, WallTime now);
  Result<std::vector<ledger::InvocationRecord>> invocations(const FunctionRef& function,
                                                            seams::InvocationFilter filter,
                                                            std::size_t limit);
  const ledger::PriceBook& prices() const { return prices_; }

 private:
  Accounting(seams::StateStore& store, ledger::PriceBook prices, ledger::LedgerLog log)
      : store_(store), prices_(std::move(prices)), log_(std::move(log)) {}
  // Appends what an earlier failure left unwritten, then `records`. On failure all of them wait for
  // the next call (the log cuts a failed write back), so that a full disk loses no usage.
  Result<void> write(ledger::Records records);
  void writeOrWarn(ledger::Records records);
  Result<void> fold();

  seams::StateStore& store_;
  ledger::PriceBook prices_;
  ledger::LedgerLog log_;
  ledger::UsageMeter meter_;
  ledger::Records unwritten_;  // at most kUnwritten; beyond, the daemon cannot account and stops
};

}  // namespace okibi::conductor
