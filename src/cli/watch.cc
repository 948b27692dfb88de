// What the daemon is doing: instances, cards, usage, logs.

#include <algorithm>
#include <cstdio>
#include <optional>

#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/log_window.h"
#include "cli/numbers.h"
#include "cli/pause.h"
#include "cli/table.h"

namespace okibi::cli {

namespace {

constexpr std::int64_t kMostLines = 10'000;

Outcome<Json> own(Context& context, std::string_view what, std::string action, Query query = {}) {
  return context.client.get(std::string(kOwnApi) + "/" + std::string(what), std::move(action),
                            std::move(query));
}

std::string cardText(const Json& instance) {
  Json card = member(instance, "card");
  if (card.is_null()) return "-";
  return text(card, "type") + " " + text(card, "uuid") +
         (isTrue(card, "simulated") ? " (simulated)" : "");
}

// The daemon counts whole megabytes.
std::string memoryText(const Json& instance) {
  const double size = number(instance, "memoryMB");
  return size < 1 ? "<1 MB" : formatMegabytes(size);
}

std::size_t newest(std::int64_t limit) {
  return static_cast<std::size_t>(limit);
}

std::string kindOf(const Json& card) {
  const std::string out = text(card, "takenOut");
  std::string kind = isTrue(card, "simulated") ? "simulated"
                     : field(card, "mig")      ? "partition"
                                               : "physical";
  return out.empty() ? kind : kind + ", taken out: " + out;
}

// What the driver says is unknown of simulated cards, and of some real ones.
std::string knownSize(const Json& object, std::string_view name) {
  return field(object, name) ? formatMegabytes(number(object, name)) : "-";
}

std::vector<std::string> cardRow(const Json& card) {
  return {text(card, "uuid"),
          text(card, "type"),
          text(card, "name"),
          formatMegabytes(number(card, "memoryMB")),
          formatMegabytes(number(card, "usedMB")),
          text(card, "slices"),
          knownSize(card, "inUseMB"),
          field(card, "busyPercent") ? text(card, "busyPercent") + "%" : "-",
          kindOf(card)};
}

void printSlices(const boost::json::array& cards) {
  Table table({left("CARD"), left("INSTANCE"), left("FUNCTION"), right("SLICE"), right("IN USE"),
               right("DRIVER LIMIT")});
  for (const Json& card : cards) {
    for (const Json& holder : items(card, "instances")) {
      table.add({text(card, "uuid"), text(holder, "instanceId"), text(holder, "functionName"),
                 formatMegabytes(number(holder, "sliceMB")), knownSize(holder, "inUseMB"),
                 knownSize(holder, "driverLimitMB")});
    }
  }
  if (!table.empty()) print("\n" + table.text());
}

std::string sizeOrDash(const Json& object, std::string_view name) {
  double size = number(object, name);
  return size > 0 ? formatMegabytes(size) : "-";
}

void printEnded(const Json& answer) {
  Table table({left("ENDED"), left("INSTANCE"), left("FUNCTION"), left("VERSION"), right("SLICE"),
               right("LIVED"), left("WHY")});
  for (const Json& i : items(answer, "ended")) {
    table.add({text(i, "endedTime"), text(i, "instanceId"), text(i, "functionName"),
               text(i, "version"), sizeOrDash(i, "sliceMB"),
               formatMilliseconds(number(i, "lifeMs")), text(i, "reason")});
  }
  print("\n");
  printTable(table, "no instance has ended");
}

std::vector<std::string> usageRow(const Json& u, const std::string& name,
                                  const std::string& currency) {
  double cost = number(u, "cost");
  double always = number(u, "alwaysOnCost");
  return {name,
          formatCount(number(u, "calls")),
          formatCount(number(u, "coldStarts")),
          formatMilliseconds(number(u, "activeMs")),
          fmt::format("{:.1f} GB·s", number(u, "gpuGBSeconds")),
          formatMoney(cost, currency),
          formatMoney(always, currency),
          always > 0 ? formatPercent(1 - cost / always) : "-",
          text(u, "sinceTime")};
}

std::string logLine(const Json& one) {
  return fmt::format("{} {} {} {}", text(one, "time"), text(one, "instanceId"), text(one, "stream"),
                     printable(text(one, "text")));
}

}  // namespace

Outcome<void> showLogs(Context& context, const LogsOptions& options) {
  // Whoever follows must not miss what is printed between two looks.
  const std::int64_t asked = options.follow ? kMostLines : options.limit;
  std::optional<std::vector<std::string>> shown;
  while (true) {
    Outcome<Json> answer = own(context, "logs", "ListOkibiLogs",
                               {{"functionName", options.name}, {"limit", std::to_string(asked)}});
    if (!answer) return std::unexpected(answer.error());
    if (context.asJson() && !options.follow) {
      printJson(*answer);
      return {};
    }
    std::vector<std::string> lines;
    for (const Json& one : items(*answer, "lines")) {
      lines.push_back(context.asJson() ? boost::json::serialize(one) : logLine(one));
    }
    const std::size_t first = shown ? countKnown(*shown, lines)
                                    : lines.size() - std::min(lines.size(), newest(options.limit));
    for (std::size_t i = first; i < lines.size(); ++i) printLine(lines[i]);
    if (!options.follow && lines.empty()) note("nothing was printed");
    if (!options.follow) return {};
    std::fflush(stdout);
    shown = std::move(lines);
    pauseFor(500ms);
  }
}

Outcome<void> showInstances(Context& context, const InstancesOptions& options) {
  Query query;
  if (options.ended) query = {{"all", "true"}, {"limit", std::to_string(options.limit)}};
  Outcome<Json> answer = own(context, "instances", "ListOkibiInstances", std::move(query));
  if (!answer) return std::unexpected(answer.error());
  if (context.asJson()) {
    printJson(*answer);
    return {};
  }
  Table table({left("INSTANCE"), left("FUNCTION"), left("STATE"), right("REQUESTS"), right("SLICE"),
               left("CARD"), right("MEMORY"), right("AGE"), right("IN STATE"), right("PID")});
  for (const Json& i : items(*answer, "instances")) {
    table.add({text(i, "instanceId"), text(i, "functionName"), text(i, "state"),
               text(i, "inFlight") + "/" + text(i, "concurrency"), sizeOrDash(i, "sliceMB"),
               cardText(i), memoryText(i), formatMilliseconds(number(i, "ageMs")),
               formatMilliseconds(number(i, "stateMs")), text(i, "pid")});
  }
  printTable(table, "no live instances");
  if (options.ended) printEnded(*answer);
  return {};
}

Outcome<void> showCards(Context& context) {
  Outcome<Json> answer = own(context, "cards", "ListOkibiCards");
  if (!answer) return std::unexpected(answer.error());
  if (context.asJson()) {
    printJson(*answer);
    return {};
  }
  if (items(*answer, "cards").empty()) {
    printLine("no cards on this machine (`okibi serve --simulated-cards TYPE=N` simulates some)");
    return {};
  }
  if (const std::string driver = text(*answer, "driverVersion"); !driver.empty()) {
    const bool answers = isTrue(*answer, "driverAnswers");
    printLine("driver " + driver + (answers ? "" : ": does not answer; what follows is old"));
  }
  Table table({left("CARD"), left("TYPE"), left("NAME"), right("MEMORY"), right("BOOKED"),
               right("SLICES"), right("IN USE"), right("BUSY"), left("KIND")});
  for (const Json& card : items(*answer, "cards")) table.add(cardRow(card));
  print(table.text());
  printSlices(items(*answer, "cards"));
  return {};
}

Outcome<void> showUsage(Context& context, const std::string& name) {
  Outcome<Json> answer = own(context, "usage", "GetOkibiUsage", {{"functionName", name}});
  if (!answer) return std::unexpected(answer.error());
  // What was deleted keeps its usage; what never was has none.
  if (!name.empty() && items(*answer, "functions").empty()) {
    Outcome<Json> known = context.client.get(functionPath(name), "GetFunction");
    if (!known) return std::unexpected(known.error());
  }
  if (context.asJson()) {
    printJson(*answer);
    return {};
  }
  std::string currency = text(*answer, "currency");
  Table table({left("FUNCTION"), right("CALLS"), right("COLD"), right("ACTIVE"), right("GPU"),
               right("COST"), right("ALWAYS-ON CARD"), right("SAVED"), left("SINCE")});
  for (const Json& u : items(*answer, "functions")) {
    table.add(usageRow(u, text(u, "functionName"), currency));
  }
  const Json* total = field(*answer, "total");
  if (total != nullptr && name.empty() && !table.empty()) {
    table.add(usageRow(*total, "total", currency));
  }
  printTable(table, "no calls yet");
  return {};
}

}  // namespace okibi::cli
