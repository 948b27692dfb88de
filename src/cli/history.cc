#include "cli/history.h"

#include <array>
#include <cmath>

#include <fmt/format.h>

#include "base/encoding.h"
#include "cli/commands.h"

namespace okibi::cli {

namespace {

constexpr std::size_t kColumns = 9;

std::int64_t whole(const Json& object, std::string_view name) {
  return std::llround(number(object, name));
}

Outcome<ledger::UnitPrice> priceOf(const Json& prices, std::string_view name) {
  Result<ledger::UnitPrice> price = ledger::parseUnitPrice(text(prices, name));
  if (!price) return std::unexpected(localFailure(withContext(price.error(), name)));
  return *price;
}

Outcome<void> readPrices(const Json& prices, ledger::PriceBook& book) {
  book.currency = text(prices, "currency");
  struct Named {
    std::string_view name;
    ledger::UnitPrice* price;
  };
  for (const Named& one :
       {Named{"gpuGbSecond", &book.gpuGbSecond}, Named{"vcpuSecond", &book.vcpuSecond},
        Named{"memoryGbSecond", &book.memoryGbSecond}, Named{"millionCalls", &book.millionCalls}}) {
    Outcome<ledger::UnitPrice> price = priceOf(prices, one.name);
    if (!price) return std::unexpected(price.error());
    *one.price = *price;
  }
  struct Resting {
    std::string_view name;
    std::optional<ledger::UnitPrice>* price;
  };
  for (const Resting& one : {Resting{"gpuIdleGbSecond", &book.gpuIdleGbSecond},
                             Resting{"memoryIdleGbSecond", &book.memoryIdleGbSecond}}) {
    if (field(prices, one.name) == nullptr) continue;
    Outcome<ledger::UnitPrice> price = priceOf(prices, one.name);
    if (!price) return std::unexpected(price.error());
    *one.price = *price;
  }
  return {};
}

void readConfiguration(const Json& configuration, FetchedHistory& history) {
  ledger::InstanceTerms& terms = history.recording.terms;
  terms.gpuType = text(configuration, "gpuType");
  terms.gpuMemory = Bytes::mib(whole(configuration, "sliceMB"));
  terms.memory = Bytes::mib(whole(configuration, "memoryMB"));
  terms.disk = Bytes::mib(whole(configuration, "diskMB"));
  terms.cpu.count = static_cast<int>(whole(configuration, "cpuMilli"));
  history.recording.mostInstances = static_cast<int>(whole(configuration, "mostInstances"));
  history.recording.startBurst = static_cast<int>(whole(configuration, "startBurst"));
  history.recording.startGrowth = static_cast<int>(whole(configuration, "startGrowth"));
  history.recording.cardTurns = static_cast<int>(whole(configuration, "cardTurns"));
  history.recording.keptRunning = isTrue(configuration, "keptRunning");
  sim::WhatIfSetting& current = history.current;
  current.concurrency = static_cast<int>(whole(configuration, "concurrency"));
  current.idle = std::chrono::seconds(whole(configuration, "idleTimeoutSeconds"));
  current.slice = terms.gpuMemory;
  current.minimum = static_cast<int>(whole(configuration, "minimum"));
}

// The order of the numbers is the daemon's (api/history_routes.cc); newer ones stand behind.
Outcome<ledger::HistoryEntry> entryOf(const Json& row) {
  std::array<std::int64_t, kColumns> cells{};
  const auto* array = row.if_array();
  bool good = array != nullptr && array->size() >= kColumns;
  for (std::size_t i = 0; good && i < kColumns; ++i) {
    good = (*array)[i].is_int64();
    if (good) cells[i] = (*array)[i].get_int64();
    good = good && cells[i] >= 0;
  }
  if (!good || cells[5] > 2 || cells[6] > 1) {
    return std::unexpected(
        localFailure({ErrorKind::Internal, "the daemon's history has a row of another kind", {}}));
  }
  using std::chrono::microseconds;
  ledger::HistoryEntry entry;
  entry.received = WallTime(std::chrono::milliseconds(cells[0]));
  entry.waited = microseconds(cells[1]);
  entry.service = microseconds(cells[2]);
  entry.startTook = microseconds(cells[3]);
  entry.startInit = microseconds(cells[4]);
  entry.start = static_cast<ledger::StartKind>(cells[5]);
  entry.fate = static_cast<ledger::HistoryEntry::Fate>(cells[6]);
  entry.concurrency = static_cast<int>(cells[7]);
  entry.slice = Bytes::mib(cells[8]);
  return entry;
}

Outcome<void> readFirstPage(const Json& page, FetchedHistory& history) {
  readConfiguration(member(page, "configuration"), history);
  sim::Recording& recording = history.recording;
  recording.queueDeadline = Duration(std::llround(number(page, "queueDeadlineMs") * 1e6));
  if (const auto until = parseIso8601(text(page, "until"))) recording.until = *until;
  for (const Json& card : items(page, "cardsMB")) {
    if (card.is_int64()) recording.cards.push_back(Bytes::mib(card.get_int64()));
  }
  if (text(page, "keepAlive") == "learned") {
    history.current.keepAlive = planner::KeepAlivePolicy::Learned;
  }
  return readPrices(member(page, "prices"), recording.prices);
}

}  // namespace

Outcome<FetchedHistory> fetchHistory(Client& client, const std::string& name, WallTime since) {
  FetchedHistory history;
  history.recording.terms.function.name = name;
  const std::string path = fmt::format("{}/functions/{}/history", kOwnApi, percentEncode(name));
  std::string next;
  do {
    Outcome<Json> page =
        client.get(path, "GetOkibiHistory", {{"since", formatIso8601(since)}, {"nextToken", next}});
    if (!page) return std::unexpected(page.error());
    if (next.empty()) {
      if (Outcome<void> read = readFirstPage(*page, history); !read) {
        return std::unexpected(read.error());
      }
    }
    for (const Json& row : items(*page, "requests")) {
      Outcome<ledger::HistoryEntry> entry = entryOf(row);
      if (!entry) return std::unexpected(entry.error());
      history.recording.requests.push_back(*entry);
    }
    next = text(*page, "nextToken");
  } while (!next.empty());
  return history;
}

}  // namespace okibi::cli
