#include "conductor/accounting.h"

#include <algorithm>
#include <iterator>
#include <tuple>

#include <fmt/format.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/log.h"
#include "conductor/clock.h"
#include "ledger/fold.h"
#include "ledger/history.h"
#include "ledger/record_codec.h"
#include "ledger/recovery.h"

namespace okibi::conductor {
namespace {

constexpr std::size_t kFoldBytes = 1u << 20;
constexpr std::size_t kUnwritten = 100'000;  // some tens of MB
// What lasts is put on the bill this often, and at the latest when somebody asks.
constexpr Duration kBillEvery = std::chrono::seconds(10);

ledger::LogPosition toLog(seams::FoldPosition p) {
  return {p.segment, p.offset};
}
seams::FoldPosition toStore(ledger::LogPosition p) {
  return {p.segment, p.offset};
}

seams::UsageRow toRow(const ledger::UsageLine& line) {
  const ledger::Usage& u = line.usage;
  return {.function = line.function,
          .day = line.day,
          .gpuType = line.gpuType,
          .gpuPriceNanos = line.gpuPrice.nanos,
          .calls = u.calls,
          .errors = u.errors,
          .coldCalls = u.coldCalls,
          .refused = u.refused,
          .activeMs = u.activeMs,
          .gpuMs = u.gpuMs,
          .gpuMbMs = u.gpuMbMs,
          .memoryMbMs = u.memoryMbMs,
          .cpuMilliMs = u.cpuMilliMs,
          .diskMbMs = u.diskMbMs,
          .firstUse = line.firstUse,
          .idleMs = u.idleMs,
          .idleGpuMbMs = u.idleGpuMbMs,
          .idleMemoryMbMs = u.idleMemoryMbMs};
}

std::int64_t microseconds(Duration time) {
  return std::chrono::floor<std::chrono::microseconds>(time).count();
}

seams::HistoryRow toRow(const FunctionRef& function, const ledger::HistoryEntry& entry) {
  return {.function = function,
          .received = entry.received,
          .waitedUs = microseconds(entry.waited),
          .serviceUs = microseconds(entry.service),
          .startUs = microseconds(entry.startTook),
          .initUs = microseconds(entry.startInit),
          .start = static_cast<int>(entry.start),
          .fate = static_cast<int>(entry.fate),
          .concurrency = entry.concurrency,
          .sliceMb = entry.slice.wholeMib()};
}

seams::EndedInstance toRow(const ledger::InstanceClosed& closed) {
  return {.function = closed.terms.function,
          .name = closed.terms.instance,
          .version = closed.terms.version,
          .gpuType = closed.terms.gpuType,
          .sliceMb = closed.terms.gpuMemory.wholeMib(),
          .created = closed.opened,
          .ended = closed.closed,
          .reason = closed.reason};
}

// What is kept of a record beside the sums.
void addTo(seams::FoldBatch& batch, const ledger::Record& record) {
  // Without version: written before it was said of whom.
  const auto* closed = std::get_if<ledger::InstanceClosed>(&record);
  if (closed != nullptr && !closed->terms.version.empty()) batch.ended.push_back(toRow(*closed));
  const auto* invocation = std::get_if<ledger::InvocationRecord>(&record);
  if (invocation == nullptr) return;
  const bool cold = invocation->start == ledger::StartKind::Cold;
  batch.invocations.push_back(
      {.function = invocation->function,
       .requestId = invocation->requestId,
       .received = invocation->received,
       .kind = cold ? seams::InvocationClass::Cold : seams::InvocationClass::Warm,
       .record = ledger::encodePayload(record)});
  if (const auto entry = ledger::historyOf(*invocation)) {
    batch.history.push_back(toRow(invocation->function, *entry));
  }
}

// Rows older than this field know their day only.
std::optional<WallTime> firstUseOf(const seams::UsageRow& row) {
  if (row.firstUse || (row.calls == 0 && row.activeMs == 0)) return row.firstUse;
  return WallTime(row.day);
}

ledger::Usage toUsage(const seams::UsageRow& r) {
  return {.calls = r.calls,
          .errors = r.errors,
          .coldCalls = r.coldCalls,
          .refused = r.refused,
          .activeMs = r.activeMs,
          .gpuMs = r.gpuMs,
          .gpuMbMs = r.gpuMbMs,
          .memoryMbMs = r.memoryMbMs,
          .cpuMilliMs = r.cpuMilliMs,
          .diskMbMs = r.diskMbMs,
          .idleMs = r.idleMs,
          .idleGpuMbMs = r.idleGpuMbMs,
          .idleMemoryMbMs = r.idleMemoryMbMs};
}

}  // namespace

Result<std::unique_ptr<Accounting>> Accounting::open(net::Loop& loop,
                                                     const std::filesystem::path& directory,
                                                     seams::StateStore& store,
                                                     ledger::PriceBook prices, WallTime now,
                                                     ledger::LogOptions options) {
  auto position = store.foldPosition();
  if (!position) return fail(position.error());
  options.folded = toLog(*position);
  ledger::OpenReport report;
  auto log = ledger::LedgerLog::open(directory, report, options);
  if (!log) return fail(log.error());
  if (report.cutBytes > 0) {
    log::warning("ledger tail cut", "bytes={} at={} salvaged={}", report.cutBytes, report.cutAt,
                 report.salvaged);
  }
  const ledger::Records closing = ledger::recover(report.lastSegment, now);
  if (auto written = log->append(closing); !written) return fail(written.error());
  std::unique_ptr<Accounting> accounting(
      new Accounting(loop, store, std::move(prices), std::move(*log)));
  if (auto flushed = accounting->syncAndFold(); !flushed) return fail(flushed.error());
  return accounting;
}

Result<void> Accounting::write(ledger::Records records) {
  std::ranges::move(records, std::back_inserter(unwritten_));
  if (unwritten_.empty() || turning_ == Turning::Yes) return {};
  auto appended = log_.append(unwritten_);
  if (appended) unwritten_.clear();
  // Disk gone after start (docs/errors.md): serving on would give away what cannot be billed.
  OKIBI_CHECK(!log_.broken() && unwritten_.size() < kUnwritten,
              "the ledger log cannot be written: {}", appended ? "" : appended.error().message);
  return appended;
}

net::Task<Result<void>> Accounting::onLog() {
  if (turning_ == Turning::No) co_return Result<void>{};
  auto written = std::make_shared<net::OneShot<Result<void>>>(loop_);
  waiting_.push_back(written);
  Result<Result<void>> outcome = co_await written->wait();
  if (!outcome) co_return fail(std::move(outcome.error()));
  co_return std::move(*outcome);
}

void Accounting::writeOrWarn(ledger::Records records) {
  if (auto written = write(std::move(records)); !written) {
    log::error("ledger write failed", "error=\"{}\"", written.error().message);
  }
}

void Accounting::instanceOpened(ledger::InstanceTerms terms, ledger::Moment now) {
  ledger::Records records;
  if (!terms.gpuType.empty()) terms.gpuPrice = prices_.gpuPrice(terms.gpuType);
  meter_.openInstance(std::move(terms), now, records);
  writeOrWarn(std::move(records));
}

void Accounting::instanceClosed(const std::string& instance, const std::string& reason,
                                ledger::Moment now) {
  ledger::Records records;
  meter_.closeInstance(instance, reason, now, records);
  writeOrWarn(std::move(records));
}

ledger::UseId Accounting::begin(const std::string& instance, ledger::UseKind kind,
                                ledger::Moment now) {
  return meter_.begin(instance, kind, now);
}

void Accounting::keepIdle(const std::string& instance, const std::string& gpuType, bool kept,
                          ledger::Moment now) {
  ledger::Records records;
  meter_.keepIdle(instance, kept, prices_.gpuIdlePrice(gpuType), now, records);
  writeOrWarn(std::move(records));
}

void Accounting::endHook(ledger::UseId use, ledger::Moment now) {
  ledger::Records records;
  meter_.endHook(use, now, records);
  writeOrWarn(std::move(records));
}

Result<void> Accounting::endRequest(ledger::UseId use, ledger::InvocationRecord record,
                                    ledger::Moment now) {
  ledger::Records records;
  meter_.endRequest(use, std::move(record), now, records);
  return write(std::move(records));
}

Result<void> Accounting::refused(ledger::InvocationRecord record) {
  ledger::Records records;
  records.emplace_back(std::move(record));
  return write(std::move(records));
}

net::Task<void> Accounting::tick(ledger::Moment now) {
  ledger::Records records;
  // A heartbeat that could not be written in time is worth nothing: none is added to a backlog.
  if (unwritten_.empty()) {
    meter_.split(now, kBillEvery, records);
    meter_.billIdle(now, kBillEvery, records);
    meter_.heartbeat(now, records);
  }
  Result<void> done = write(std::move(records));
  // A slow disk is not helped by a second worker.
  if (flushing_ == Flushing::Yes) co_return;
  flushing_ = Flushing::Yes;
  if (done) done = co_await flush();
  OKIBI_CHECK(!log_.broken(), "the ledger log cannot be written: {}",
              done ? "" : done.error().message);
  if (done && log_.full() && unwritten_.empty()) done = co_await turnSegment();
  flushing_ = Flushing::No;
  if (!done) log::error("ledger write failed", "error=\"{}\"", done.error().message);
}

net::Task<Result<void>> Accounting::turnSegment() {
  turning_ = Turning::Yes;
  const ledger::Records preamble = meter_.preamble(momentNow(loop_));
  Result<void> turned = co_await loop_.offload([&]() -> Result<void> {
    const std::scoped_lock lock(writing_);
    if (auto rotated = log_.rotate(preamble); !rotated) return rotated;
    auto position = store_.foldPosition();
    if (!position) return fail(position.error());
    return log_.discardBefore(toLog(*position));
  });
  turning_ = Turning::No;
  // What came meanwhile goes to the new segment, or, if there is none, to the old one.
  const Result<void> written = write({});
  for (const auto& waiter : std::exchange(waiting_, {})) waiter->set(written);
  co_return turned ? written : turned;
}

net::Task<Result<void>> Accounting::flush() {
  co_return co_await loop_.offload([this] { return syncAndFold(); });
}

Result<void> Accounting::syncAndFold() {
  const std::scoped_lock lock(writing_);
  if (auto synced = log_.sync(); !synced) return synced;
  return fold();
}

Result<void> Accounting::fold() {
  auto position = store_.foldPosition();
  if (!position) return fail(position.error());
  for (;;) {
    auto batch = log_.readDurable(toLog(*position), kFoldBytes);
    if (!batch) return fail(batch.error());
    if (toStore(batch->next) == *position) return {};
    seams::FoldBatch folded{.from = *position,
                            .to = toStore(batch->next),
                            .usage = {},
                            .invocations = {},
                            .history = {},
                            .ended = {}};
    for (const auto& line : ledger::fold(batch->records, prices_)) {
      folded.usage.push_back(toRow(line));
    }
    for (const ledger::Record& record : batch->records) addTo(folded, record);
    if (auto stored = store_.fold(folded); !stored) return stored;
    *position = folded.to;
    if (batch->atEnd) return {};
  }
}

net::Task<Result<UsageReport>> Accounting::usage(std::string account, std::string function,
                                                 WallTime now) {
  ledger::Records records;
  meter_.billIdle(momentNow(loop_), Duration::zero(), records);
  writeOrWarn(std::move(records));
  if (auto flushed = co_await flush(); !flushed) co_return fail(flushed.error());
  const auto today = std::chrono::floor<std::chrono::days>(now);
  auto rows =
      co_await loop_.offload([&] { return store_.usage(account, std::chrono::sys_days{}, today); });
  if (!rows) co_return fail(rows.error());
  co_return report(*rows, function, now);
}

UsageReport Accounting::report(const std::vector<seams::UsageRow>& rows,
                               const std::string& function, WallTime now) const {
  UsageReport report{.currency = prices_.currency, .functions = {}, .total = {}};
  report.total.since = now;
  for (const seams::UsageRow& row : rows) {
    if (!function.empty() && row.function.name != function) continue;
    if (report.functions.empty() || report.functions.back().function != row.function.name) {
      report.functions.push_back(
          {.function = row.function.name, .usage = {}, .cost = {}, .since = now, .alwaysOn = {}});
    }
    const ledger::Usage usage = toUsage(row);
    const Money cost = prices_.priceOf(usage, ledger::UnitPrice{row.gpuPriceNanos});
    const WallTime first = firstUseOf(row).value_or(now);
    for (UsageSummary* sum : {&report.functions.back(), &report.total}) {
      sum->usage += usage;
      sum->cost += cost;
      sum->since = std::min(sum->since, first);
    }
  }
  for (UsageSummary& summary : report.functions) {
    summary.alwaysOn = prices_.alwaysOn(1, now - summary.since);
  }
  report.total.alwaysOn = prices_.alwaysOn(1, now - report.total.since);
  return report;
}

net::Task<Result<std::vector<ledger::InvocationRecord>>> Accounting::invocations(
    std::vector<FunctionRef> functions, seams::InvocationFilter filter, std::size_t limit) {
  if (auto flushed = co_await flush(); !flushed) co_return fail(flushed.error());
  co_return co_await loop_.offload([&] { return recent(functions, filter, limit); });
}

net::Task<Result<std::vector<seams::HistoryRow>>> Accounting::history(FunctionRef function,
                                                                      std::int64_t after,
                                                                      WallTime since,
                                                                      std::size_t limit) {
  if (auto flushed = co_await flush(); !flushed) co_return fail(flushed.error());
  co_return co_await loop_.offload([&] { return store_.history(function, after, since, limit); });
}

net::Task<Result<std::vector<seams::EndedInstance>>> Accounting::endedInstances(
    std::string account, std::string function, WallTime now, std::size_t limit) {
  if (auto flushed = co_await flush(); !flushed) co_return fail(flushed.error());
  const WallTime since = now - limits::kEndedInstanceAge;
  co_return co_await loop_.offload(
      [&] { return store_.endedInstances(account, function, since, limit); });
}

Result<std::vector<ledger::InvocationRecord>> Accounting::recent(
    const std::vector<FunctionRef>& functions, seams::InvocationFilter filter, std::size_t limit) {
  std::vector<ledger::InvocationRecord> records;
  for (const FunctionRef& function : functions) {
    auto entries = store_.recentInvocations(function, filter, limit);
    if (!entries) return fail(entries.error());
    for (const seams::RecentInvocation& entry : *entries) {
      auto record = ledger::decodePayload(entry.record);
      if (!record) return fail(record.error());
      if (auto* invocation = std::get_if<ledger::InvocationRecord>(&*record)) {
        records.push_back(std::move(*invocation));
      }
    }
  }
  if (functions.size() > 1) {
    std::ranges::sort(records, std::ranges::greater(), [](const ledger::InvocationRecord& record) {
      return std::tie(record.received, record.requestId);
    });
  }
  if (records.size() > limit) records.resize(limit);
  return records;
}

}  // namespace okibi::conductor
