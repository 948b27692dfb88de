#include "conductor/accounting.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "base/check.h"
#include "base/log.h"
#include "ledger/fold.h"
#include "ledger/record_codec.h"
#include "ledger/recovery.h"

namespace okibi::conductor {
namespace {

constexpr std::size_t kFoldBytes = 1u << 20;
constexpr std::size_t kUnwritten = 100'000;  // some tens of MB

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
          .diskMbMs = u.diskMbMs};
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
          .diskMbMs = r.diskMbMs};
}

}  // namespace

Result<std::unique_ptr<Accounting>> Accounting::open(const std::filesystem::path& directory,
                                                     seams::StateStore& store,
                                                     ledger::PriceBook prices, WallTime now) {
  auto position = store.foldPosition();
  if (!position) return fail(position.error());
  ledger::OpenReport report;
  auto log = ledger::LedgerLog::open(directory, report, {.folded = toLog(*position)});
  if (!log) return fail(log.error());
  if (report.cutBytes > 0) {
    log::warning("ledger tail cut", "bytes={} at={} salvaged={}", report.cutBytes, report.cutAt,
                 report.salvaged);
  }
  const ledger::Records closing = ledger::recover(report.lastSegment, now);
  if (auto written = log->append(closing); !written) return fail(written.error());
  std::unique_ptr<Accounting> accounting(new Accounting(store, std::move(prices), std::move(*log)));
  if (auto flushed = accounting->flush(); !flushed) return fail(flushed.error());
  return accounting;
}

Result<void> Accounting::write(ledger::Records records) {
  std::ranges::move(records, std::back_inserter(unwritten_));
  if (unwritten_.empty()) return {};
  auto appended = log_.append(unwritten_);
  if (appended) unwritten_.clear();
  // Disk gone after start (docs/errors.md): serving on would give away what cannot be billed.
  OKIBI_CHECK(!log_.broken() && unwritten_.size() < kUnwritten,
              "the ledger log cannot be written: {}", appended ? "" : appended.error().message);
  return appended;
}

void Accounting::writeOrWarn(ledger::Records records) {
  if (auto written = write(std::move(records)); !written) {
    log::error("ledger write failed", "error=\"{}\"", written.error().message);
  }
}

void Accounting::instanceOpened(ledger::InstanceTerms terms, ledger::Moment now) {
  ledger::Records records;
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

void Accounting::tick(ledger::Moment now) {
  ledger::Records records;
  // A heartbeat that could not be written in time is worth nothing: none is added to a backlog.
  if (unwritten_.empty()) meter_.heartbeat(now, records);
  Result<void> done = write(std::move(records));
  if (done) done = flush();
  if (done && log_.full()) {
    done = log_.rotate(meter_.preamble(now));
    if (auto position = store_.foldPosition(); done && position) {
      done = log_.discardBefore(toLog(*position));
    }
  }
  if (!done) log::error("ledger write failed", "error=\"{}\"", done.error().message);
}

Result<void> Accounting::flush() {
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
    seams::FoldBatch folded{
        .from = *position, .to = toStore(batch->next), .usage = {}, .invocations = {}};
    for (const auto& line : ledger::fold(batch->records, prices_)) {
      folded.usage.push_back(toRow(line));
    }
    for (const ledger::Record& record : batch->records) {
      const auto* invocation = std::get_if<ledger::InvocationRecord>(&record);
      if (invocation == nullptr) continue;
      const bool cold = invocation->start == ledger::StartKind::Cold;
      folded.invocations.push_back(
          {.function = invocation->function,
           .requestId = invocation->requestId,
           .received = invocation->received,
           .kind = cold ? seams::InvocationClass::Cold : seams::InvocationClass::Warm,
           .record = ledger::encodePayload(record)});
    }
    if (auto stored = store_.fold(folded); !stored) return stored;
    *position = folded.to;
    if (batch->atEnd) return {};
  }
}

Result<UsageReport> Accounting::usage(const std::string& account, const std::string& function,
                                      WallTime now) {
  if (auto flushed = flush(); !flushed) return fail(flushed.error());
  const auto today = std::chrono::floor<std::chrono::days>(now);
  auto rows = store_.usage(account, std::chrono::sys_days{}, today);
  if (!rows) return fail(rows.error());
  UsageReport report{.currency = prices_.currency, .since = now, .functions = {}, .total = {}};
  for (const seams::UsageRow& row : *rows) {
    if (!function.empty() && row.function.name != function) continue;
    report.since = std::min(report.since, WallTime(row.day));
    if (report.functions.empty() || report.functions.back().function != row.function.name) {
      report.functions.push_back(
          {.function = row.function.name, .usage = {}, .cost = {}, .alwaysOn = {}});
    }
    const ledger::Usage usage = toUsage(row);
    const Money cost = prices_.priceOf(usage, ledger::UnitPrice{row.gpuPriceNanos});
    UsageSummary& summary = report.functions.back();
    summary.usage += usage;
    summary.cost += cost;
    report.total.usage += usage;
    report.total.cost += cost;
  }
  const Money alwaysOn = prices_.alwaysOn(1, now - report.since);
  for (UsageSummary& summary : report.functions) summary.alwaysOn = alwaysOn;
  report.total.alwaysOn = alwaysOn;
  return report;
}

Result<std::vector<ledger::InvocationRecord>> Accounting::invocations(
    const FunctionRef& function, seams::InvocationFilter filter, std::size_t limit) {
  if (auto flushed = flush(); !flushed) return fail(flushed.error());
  auto recent = store_.recentInvocations(function, filter, limit);
  if (!recent) return fail(recent.error());
  std::vector<ledger::InvocationRecord> records;
  for (const seams::RecentInvocation& entry : *recent) {
    auto record = ledger::decodePayload(entry.record);
    if (!record) return fail(record.error());
    if (auto* invocation = std::get_if<ledger::InvocationRecord>(&*record)) {
      records.push_back(std::move(*invocation));
    }
  }
  return records;
}

}  // namespace okibi::conductor
