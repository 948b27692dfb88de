// What the daemon is doing: instances, cards, usage, cold starts, logs.

#include <algorithm>
#include <cstdio>

#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/log_window.h"
#include "cli/numbers.h"
#include "cli/pause.h"
#include "cli/table.h"

namespace okibi::cli {

namespace {

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

std::string sizeOrDash(const Json& object, std::string_view name) {
  double size = number(object, name);
  return size > 0 ? formatMegabytes(size) : "-";
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

std::vector<std::string> coldRow(const Json& one) {
  Json phases = member(one, "phases");
  auto phase = [&](std::string_view name) { return formatMilliseconds(number(phases, name)); };
  return {text(one, "startedTime"),
          text(one, "functionName"),
          phase("scheduleMs"),
          phase("imageMs"),
          phase("sandboxMs"),
          phase("appMs"),
          phase("initMs"),
          formatMilliseconds(number(one, "requestMs")),
          formatMilliseconds(number(one, "totalMs")),
          text(one, "concurrentStarts"),
          text(one, "reason")};
}

std::string logLine(const Json& one) {
  return fmt::format("{} {} {} {}", text(one, "time"), text(one, "instanceId"), text(one, "stream"),
                     printable(text(one, "text")));
}

std::int64_t countCold(const boost::json::array& invocations) {
  return std::ranges::count_if(invocations, [](const Json& i) { return isTrue(i, "cold"); });
}

std::string coldShare(const boost::json::array& invocations) {
  if (invocations.empty()) return "no calls yet";
  std::int64_t cold = countCold(invocations);
  return fmt::format(
      "{} of the last {} calls were cold ({})", cold, invocations.size(),
      formatPercent(static_cast<double>(cold) / static_cast<double>(invocations.size())));
}

Outcome<std::vector<std::string>> functionNames(Context& context) {
  std::vector<std::string> names;
  std::string next;
  do {
    Outcome<Json> page = context.client.get(std::string(kApi) + "/functions", "ListFunctions",
                                            {{"limit", "100"}, {"nextToken", next}});
    if (!page) return std::unexpected(page.error());
    for (const Json& f : items(*page, "functions")) names.push_back(text(f, "functionName"));
    next = text(*page, "nextToken");
  } while (!next.empty());
  return names;
}

// The daemon lists one function's calls at a time. Newest first.
Outcome<boost::json::array> invocationsOf(Context& context, const std::vector<std::string>& names,
                                          const Query& filter) {
  boost::json::array all;
  for (const std::string& name : names) {
    Query query{{"functionName", name}, {"limit", "20"}};
    query.insert(query.end(), filter.begin(), filter.end());
    Outcome<Json> answer = own(context, "invocations", "ListOkibiInvocations", std::move(query));
    if (!answer) return std::unexpected(answer.error());
    for (const Json& one : items(*answer, "invocations")) all.push_back(one);
  }
  std::ranges::sort(all, [](const Json& a, const Json& b) {
    return text(a, "startedTime") > text(b, "startedTime");
  });
  return all;
}

}  // namespace

Outcome<void> showLogs(Context& context, const LogsOptions& options) {
  std::vector<std::string> shown;
  while (true) {
    Outcome<Json> answer =
        own(context, "logs", "ListOkibiLogs",
            {{"functionName", options.name}, {"limit", std::to_string(options.limit)}});
    if (!answer) return std::unexpected(answer.error());
    if (context.asJson() && !options.follow) {
      printJson(*answer);
      return {};
    }
    std::vector<std::string> lines;
    for (const Json& one : items(*answer, "lines")) {
      lines.push_back(context.asJson() ? boost::json::serialize(one) : logLine(one));
    }
    for (std::size_t i = countKnown(shown, lines); i < lines.size(); ++i) printLine(lines[i]);
    if (!options.follow) return {};
    std::fflush(stdout);
    shown = std::move(lines);
    pauseFor(500ms);
  }
}

Outcome<void> showInstances(Context& context) {
  Outcome<Json> answer = own(context, "instances", "ListOkibiInstances");
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
               cardText(i), sizeOrDash(i, "memoryMB"), formatMilliseconds(number(i, "ageMs")),
               formatMilliseconds(number(i, "stateMs")), text(i, "pid")});
  }
  print(table.text());
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
  Table table(
      {left("CARD"), left("TYPE"), right("MEMORY"), right("USED"), right("SLICES"), left("KIND")});
  for (const Json& card : items(*answer, "cards")) {
    const Json* slices = field(card, "slices");
    std::string count = slices != nullptr && slices->is_array()
                            ? std::to_string(slices->get_array().size())
                            : text(card, "slices");
    table.add({text(card, "uuid"), text(card, "type"), formatMegabytes(number(card, "memoryMB")),
               formatMegabytes(number(card, "usedMB")), count,
               isTrue(card, "simulated") ? "simulated" : "physical"});
  }
  print(table.text());
  return {};
}

Outcome<void> showUsage(Context& context, const std::string& name) {
  Outcome<Json> answer = own(context, "usage", "GetOkibiUsage", {{"functionName", name}});
  if (!answer) return std::unexpected(answer.error());
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
  if (const Json* total = field(*answer, "total"); total != nullptr && name.empty()) {
    table.add(usageRow(*total, "total", currency));
  }
  print(table.text());
  return {};
}

Outcome<void> showColdStarts(Context& context, const std::string& name) {
  std::vector<std::string> names{name};
  if (name.empty()) {
    Outcome<std::vector<std::string>> all = functionNames(context);
    if (!all) return std::unexpected(all.error());
    names = std::move(*all);
  }
  Outcome<boost::json::array> cold = invocationsOf(context, names, {{"coldOnly", "true"}});
  if (!cold) return std::unexpected(cold.error());
  Outcome<boost::json::array> recent = invocationsOf(context, names, {});
  if (!recent) return std::unexpected(recent.error());
  if (context.asJson()) {
    printJson(JsonObject{{"invocations", std::move(*cold)},
                         {"recentCalls", recent->size()},
                         {"recentColdCalls", countCold(*recent)}});
    return {};
  }
  Table table({left("TIME"), left("FUNCTION"), right("SCHEDULE"), right("IMAGE"), right("SANDBOX"),
               right("APP"), right("INIT"), right("REQUEST"), right("TOTAL"), right("AT ONCE"),
               left("REASON")});
  for (const Json& one : *cold) table.add(coldRow(one));
  print(table.text());
  printLine(coldShare(*recent));
  return {};
}

}  // namespace okibi::cli
