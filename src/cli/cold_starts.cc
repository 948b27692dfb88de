// `okibi coldstarts`: a waterfall of each, and how often calls were cold.

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include <fmt/format.h>

#include "base/encoding.h"
#include "cli/commands.h"
#include "cli/concurrency.h"
#include "cli/numbers.h"
#include "cli/waterfall.h"

namespace okibi::cli {

namespace {

constexpr std::size_t kBar = 24;
constexpr std::string_view kLegend =
    "waterfall: . schedule  - image  = sandbox  + app  # init  > request";
constexpr std::size_t kShown = 20;
constexpr std::string_view kRecent = "1000";
constexpr std::size_t kMostFunctions = 200;

// Of one function, or of all (`name` empty); newest first.
Outcome<boost::json::array> invocationsOf(Context& context, const std::string& name, Query filter) {
  filter.emplace_back("functionName", name);
  Outcome<Json> answer = context.client.get(std::string(kOwnApi) + "/invocations",
                                            "ListOkibiInvocations", std::move(filter));
  if (!answer) return std::unexpected(answer.error());
  return items(*answer, "invocations");
}

// What is asked of the newest calls of each function.
struct Recent {
  std::map<std::string, std::vector<CallTimes>> byFunction;
  std::int64_t calls = 0, cold = 0;

  void add(const Json& call) {
    ++calls;
    const auto start = isTrue(call, "cold") ? CallTimes::Start::Cold : CallTimes::Start::Warm;
    if (start == CallTimes::Start::Cold) ++cold;
    const auto received = parseIso8601(text(call, "startedTime"));
    if (!received) return;
    byFunction[text(call, "functionName")].push_back(
        {*received, Duration(std::llround(number(call, "totalMs") * 1e6)), start});
  }
};

Outcome<void> addRecent(Context& context, const std::string& name, Recent& recent) {
  auto calls = invocationsOf(context, name, {{"limit", std::string(kRecent)}});
  if (!calls) return std::unexpected(std::move(calls.error()));
  for (const Json& one : *calls) recent.add(one);
  return {};
}

// Function by function, so that a busy one does not hide the others.
Outcome<Recent> recentOfAll(Context& context) {
  Outcome<boost::json::array> functions =
      collect(context.client, std::string(kApi) + "/functions", "ListFunctions", "functions");
  if (!functions) return std::unexpected(std::move(functions.error()));
  if (functions->size() > kMostFunctions) {
    note(
        fmt::format("okibi: the first {} of {} functions are looked at; `okibi coldstarts NAME` "
                    "looks at one",
                    kMostFunctions, functions->size()));
    functions->resize(kMostFunctions);
  }
  Recent recent;
  for (const Json& function : *functions) {
    Outcome<void> added = addRecent(context, text(function, "functionName"), recent);
    if (!added) return std::unexpected(std::move(added.error()));
  }
  return recent;
}

Outcome<Recent> recentOf(Context& context, const std::string& name) {
  if (name.empty()) return recentOfAll(context);
  Recent recent;
  Outcome<void> added = addRecent(context, name, recent);
  if (!added) return std::unexpected(std::move(added.error()));
  if (recent.calls > 0) return recent;
  Outcome<Json> known = context.client.get(functionPath(name), "GetFunction");
  if (!known) return std::unexpected(std::move(known.error()));
  return recent;
}

std::string barOf(const Json& one, double wholeMs) {
  const Json phases = member(one, "phases");
  return waterfall(std::array{WaterfallPart{'.', number(phases, "scheduleMs")},
                              WaterfallPart{'-', number(phases, "imageMs")},
                              WaterfallPart{'=', number(phases, "sandboxMs")},
                              WaterfallPart{'+', number(phases, "appMs")},
                              WaterfallPart{'#', number(phases, "initMs")},
                              WaterfallPart{'>', number(one, "requestMs")}},
                   wholeMs, kBar);
}

std::vector<std::string> rowOf(const Json& one, double wholeMs) {
  const Json phases = member(one, "phases");
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
          barOf(one, wholeMs),
          text(one, "concurrentStarts"),
          text(one, "reason")};
}

void printWaterfalls(const boost::json::array& cold) {
  Table table({left("TIME"), left("FUNCTION"), right("SCHEDULE"), right("IMAGE"), right("SANDBOX"),
               right("APP"), right("INIT"), right("REQUEST"), right("TOTAL"), left("WATERFALL"),
               right("STARTS AT ONCE"), left("REASON")});
  double longest = 0;
  for (const Json& one : cold) longest = std::max(longest, number(one, "totalMs"));
  for (const Json& one : cold) table.add(rowOf(one, longest));
  printTable(table, "no cold starts yet");
  if (!table.empty()) printLine(kLegend);
}

std::string rangeText(const ConcurrencyShare& share) {
  if (share.to == 0) return fmt::format("{} and more", share.from);
  if (share.from == share.to) return std::to_string(share.from);
  return fmt::format("{} to {}", share.from, share.to);
}

void printShares(const Recent& recent) {
  Table table({left("FUNCTION"), left("CALLS AT ONCE"), right("CALLS"), right("COLD"),
               right("SHARE COLD")});
  for (const auto& [name, calls] : recent.byFunction) {
    for (const ConcurrencyShare& share : coldByConcurrency(calls)) {
      table.add({name, rangeText(share), std::to_string(share.calls), std::to_string(share.cold),
                 formatPercent(static_cast<double>(share.cold) / share.calls)});
    }
  }
  if (table.empty()) return;
  print("\n" + table.text());
  printLine(fmt::format(
      "{} of the last {} calls started cold ({})", recent.cold, recent.calls,
      formatPercent(static_cast<double>(recent.cold) / static_cast<double>(recent.calls))));
}

boost::json::array sharesJson(const Recent& recent) {
  boost::json::array out;
  for (const auto& [name, calls] : recent.byFunction) {
    for (const ConcurrencyShare& share : coldByConcurrency(calls)) {
      JsonObject one{{"functionName", name},
                     {"callsAtOnceFrom", share.from},
                     {"calls", share.calls},
                     {"coldCalls", share.cold}};
      if (share.to != 0) one["callsAtOnceTo"] = share.to;
      out.push_back(std::move(one));
    }
  }
  return out;
}

}  // namespace

Outcome<void> showColdStarts(Context& context, const std::string& name) {
  Outcome<boost::json::array> cold =
      invocationsOf(context, name, {{"coldOnly", "true"}, {"limit", std::to_string(kShown)}});
  if (!cold) return std::unexpected(cold.error());
  Outcome<Recent> recent = recentOf(context, name);
  if (!recent) return std::unexpected(recent.error());
  if (context.asJson()) {
    printJson(JsonObject{{"invocations", std::move(*cold)},
                         {"recentCalls", recent->calls},
                         {"recentColdCalls", recent->cold},
                         {"byConcurrency", sharesJson(*recent)}});
    return {};
  }
  printWaterfalls(*cold);
  printShares(*recent);
  return {};
}

}  // namespace okibi::cli
