// `okibi whatif`: a function's own requests under other settings.

#include <algorithm>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/limits.h"
#include "cli/commands.h"
#include "cli/history.h"
#include "cli/numbers.h"
#include "cli/settings_list.h"
#include "cli/wall_clock.h"
#include "sim/parse.h"

namespace okibi::cli {

namespace {

constexpr double kMbMsPerGbSecond = 1024.0 * 1000.0;

struct Wanted {
  std::optional<Duration> p99;
  WallTime since{};
};

Outcome<Wanted> readWanted(const WhatIfOptions& options) {
  Wanted wanted;
  if (!options.p99.empty()) {
    Result<Duration> p99 = parseSeconds(options.p99);
    if (!p99) return std::unexpected(localFailure(withContext(p99.error(), "--p99")));
    wanted.p99 = *p99;
  }
  Result<Duration> back = sim::parseDuration(options.since);
  if (!back) return std::unexpected(localFailure(withContext(back.error(), "--since")));
  if (*back <= Duration::zero() || *back > limits::kHistoryAge) {
    return std::unexpected(localFailure(
        {ErrorKind::Invalid,
         fmt::format("--since: '{}' is not within 1s–{}d, the time that requests are kept",
                     options.since, limits::kHistoryAge.count()),
         {}}));
  }
  wanted.since = wallNow() - std::chrono::floor<std::chrono::milliseconds>(*back);
  return wanted;
}

Outcome<std::vector<sim::WhatIfRow>> runAll(const sim::Recording& recording,
                                            const std::vector<sim::WhatIfSetting>& settings) {
  std::vector<sim::WhatIfRow> rows;
  for (const sim::WhatIfSetting& setting : settings) {
    Result<sim::WhatIfRow> row = sim::whatIf(recording, setting);
    if (!row) return std::unexpected(localFailure(row.error()));
    rows.push_back(std::move(*row));
  }
  return rows;
}

std::string wait(const sim::WhatIfRow& row, double share) {
  return formatMilliseconds(toMilliseconds(row.waitAt(share)));
}

double billedGbSeconds(const sim::WhatIfRow& row) {
  return static_cast<double>(row.usage.gpuMbMs) / kMbMsPerGbSecond;
}

double amount(Money money) {
  return static_cast<double>(money.micros()) / 1e6;
}

bool same(const sim::WhatIfSetting& a, const sim::WhatIfSetting& b) {
  return a.concurrency == b.concurrency && a.idle == b.idle && a.slice == b.slice &&
         a.minimum == b.minimum && a.keepAlive == b.keepAlive;
}

// All that was tried, and what of it is worth pointing at.
struct Findings {
  sim::RecordingFacts facts;
  std::vector<sim::WhatIfRow> rows;
  std::optional<Duration> p99;
  std::size_t best = 0;  // rows.size(): none meets p99, or none was asked for
};

void printRows(const FetchedHistory& history, const Findings& found) {
  const std::string& currency = history.recording.prices.currency;
  const bool onCard = !history.recording.terms.gpuType.empty();
  Table table({right("CONCURRENCY"), right("IDLE"), right("SLICE"), right("MINIMUM"),
               right("COLD STARTS"), right("WAITED FOR ONE"), right("WAIT P50"), right("P90"),
               right("P99"), right("REFUSED"), right("GB·S BILLED"), right("GB·S IDLE"),
               right("COST"), left("")});
  for (std::size_t i = 0; i < found.rows.size(); ++i) {
    const sim::WhatIfRow& row = found.rows[i];
    std::vector<std::string> notes;
    if (i == found.best) notes.emplace_back("cheapest within --p99");
    if (same(row.setting, history.current)) notes.emplace_back("as it is now");
    table.add({std::to_string(row.setting.concurrency), sim::formatDuration(row.setting.idle),
               onCard ? fmt::format("{} GB", row.setting.slice.wholeGib()) : "-",
               std::to_string(row.setting.minimum), formatPercent(row.coldProbability()),
               formatPercent(row.coldWaiterShare()), wait(row, 0.5), wait(row, 0.9),
               wait(row, 0.99), std::to_string(row.refused),
               onCard ? formatCount(billedGbSeconds(row)) : "-",
               onCard ? formatCount(row.tally.gbIn(sim::Use::Idle)) : "-",
               formatMoney(amount(row.cost), currency), fmt::format("{}", fmt::join(notes, ", "))});
  }
  print(table.text());
}

std::string replayed(const std::string& name, const sim::RecordingFacts& facts) {
  std::string text =
      fmt::format("replayed {} requests of '{}' over {}: {} on average, {} starts of {}",
                  formatCount(static_cast<double>(facts.requests)), name,
                  formatMilliseconds(toMilliseconds(facts.span)),
                  formatMilliseconds(toMilliseconds(facts.meanService)), facts.starts,
                  formatMilliseconds(toMilliseconds(facts.meanStart)));
  if (facts.turnedAway > 0) {
    text += fmt::format("; {} of them were turned away then and have the time of a served one",
                        facts.turnedAway);
  }
  return text;
}

// What the answer rests on, for people.
std::vector<std::string> assumptions(const FetchedHistory& history, const Findings& found) {
  const sim::RecordingFacts& facts = found.facts;
  std::vector<std::string> lines;
  lines.push_back(fmt::format(
      "service times are as recorded (at concurrency {}), however many requests share an instance",
      facts.concurrences.empty() ? "unknown"
                                 : fmt::format("{}", fmt::join(facts.concurrences, ", "))));
  if (facts.slices.size() > 1) {
    lines.emplace_back("from slice to slice they change as the medians recorded on both do");
  } else if (facts.slices.size() == 1) {
    lines.push_back(
        fmt::format("a slice changes what memory costs and what fits, not the service "
                    "time: only {} GB were recorded",
                    facts.slices.front().wholeGib()));
  }
  lines.emplace_back(
      "each start takes as long as one of the recorded ones, drawn from a seed, and succeeds");
  lines.emplace_back("nothing is parked, hooks before a stop cost nothing");
  if (!history.recording.cards.empty()) {
    lines.push_back(fmt::format("the {} card{} of this type are the function's alone",
                                history.recording.cards.size(),
                                history.recording.cards.size() == 1 ? "" : "s"));
  }
  if (facts.served < 1000 || facts.starts < 10) {
    lines.push_back(fmt::format("with {} requests and {} starts, a p99 rests on a handful of them",
                                facts.served, facts.starts));
  }
  return lines;
}

std::string verdict(const Findings& found) {
  if (found.best < found.rows.size()) return "";
  const auto least = std::ranges::min_element(
      found.rows, {}, [](const sim::WhatIfRow& row) { return row.waitAt(0.99); });
  return fmt::format(
      "no setting keeps the wait of 99% of the requests within {}: the least p99 is "
      "{}{}",
      formatMilliseconds(toMilliseconds(*found.p99)), wait(*least, 0.99),
      least->refused > 0 ? ", and there some are refused" : "");
}

JsonObject rowJson(const sim::WhatIfRow& row, const Findings& found) {
  JsonObject out{{"concurrency", row.setting.concurrency},
                 {"idleTimeoutSeconds", sim::toSeconds(row.setting.idle)},
                 {"sliceMB", row.setting.slice.wholeMib()},
                 {"minimum", row.setting.minimum},
                 {"coldProbability", row.coldProbability()},
                 {"coldStarts", row.starts},
                 {"coldWaiterShare", row.coldWaiterShare()},
                 {"refused", row.refused},
                 {"waitP50Ms", toMilliseconds(row.waitAt(0.5))},
                 {"waitP90Ms", toMilliseconds(row.waitAt(0.9))},
                 {"waitP99Ms", toMilliseconds(row.waitAt(0.99))},
                 {"gpuGBSecondsBilled", billedGbSeconds(row)},
                 {"gpuGBSecondsIdle", row.tally.gbIn(sim::Use::Idle)},
                 {"gpuGBSecondsStarting", row.tally.gbIn(sim::Use::Starting)},
                 {"activeMs", row.usage.activeMs},
                 {"peakInstances", row.tally.peak},
                 {"cost", amount(row.cost)}};
  if (found.p99) out["meetsP99"] = row.meets(*found.p99);
  return out;
}

void printFindings(Context& context, const std::string& name, const FetchedHistory& history,
                   const Findings& found) {
  const std::vector<std::string> assumed = assumptions(history, found);
  if (context.asJson()) {
    boost::json::array rows;
    for (const sim::WhatIfRow& row : found.rows) rows.push_back(rowJson(row, found));
    JsonObject out{{"functionName", name},
                   {"currency", history.recording.prices.currency},
                   {"requests", found.facts.requests},
                   {"turnedAway", found.facts.turnedAway},
                   {"spanSeconds", sim::toSeconds(found.facts.span)},
                   {"recordedStarts", found.facts.starts},
                   {"settings", std::move(rows)},
                   {"assumptions", boost::json::value_from(assumed)}};
    if (found.p99) {
      out["p99Ms"] = toMilliseconds(*found.p99);
      out["cheapest"] = found.best < found.rows.size() ? Json(found.best) : Json(nullptr);
    }
    return printJson(out);
  }
  printLine(replayed(name, found.facts));
  printRows(history, found);
  if (found.p99) {
    if (const std::string none = verdict(found); !none.empty()) printLine(none);
  }
  printLine("assumed:");
  for (const std::string& line : assumed) printLine("  " + line);
}

}  // namespace

Outcome<void> whatIf(Context& context, const WhatIfOptions& options) {
  Outcome<Wanted> wanted = readWanted(options);
  if (!wanted) return std::unexpected(wanted.error());
  Result<SettingsLists> lists =
      readSettingsLists(options.concurrency, options.idle, options.slice, options.minimum);
  if (!lists) return std::unexpected(localFailure(lists.error()));
  Outcome<FetchedHistory> history = fetchHistory(context.client, options.name, wanted->since);
  if (!history) return std::unexpected(history.error());
  if (history->recording.mostInstances < 1) {
    return std::unexpected(localFailure(
        {ErrorKind::Exhausted,
         fmt::format("function '{}' may not be called: its concurrency configuration is 0",
                     options.name),
         "ResourceExhausted"}));
  }
  Findings found;
  found.facts = sim::factsOf(history->recording);
  if (Result<void> enough = sim::checkEnough(found.facts); !enough) {
    Failure failure = localFailure(withContext(enough.error(), options.name));
    failure.remedy = "call it for a while, or look further back with --since";
    return std::unexpected(failure);
  }
  Result<std::vector<sim::WhatIfSetting>> settings =
      settingsOf(*lists, history->current, history->recording);
  if (!settings) return std::unexpected(localFailure(settings.error()));
  Outcome<std::vector<sim::WhatIfRow>> rows = runAll(history->recording, *settings);
  if (!rows) return std::unexpected(rows.error());
  found.rows = std::move(*rows);
  found.p99 = wanted->p99;
  found.best = found.p99 ? sim::cheapest(found.rows, *found.p99) : found.rows.size();
  printFindings(context, options.name, *history, found);
  return {};
}

}  // namespace okibi::cli
