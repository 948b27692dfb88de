// `okibi coldstarts`: a waterfall of each, and how often calls were cold.

#include <algorithm>
#include <cmath>
#include <set>

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

// Of one function, or of all (`name` empty); newest first.
Outcome<boost::json::array> invocationsOf(Context& context, const std::string& name, Query filter) {
  filter.emplace_back("functionName", name);
  Outcome<Json> answer = context.client.get(std::string(kOwnApi) + "/invocations",
                                            "ListOkibiInvocations", std::move(filter));
  if (!answer) return std::unexpected(answer.error());
  return items(*answer, "invocations");
}

std::vector<std::string> functionsIn(const boost::json::array& calls) {
  std::set<std::string> names;
  for (const Json& one : calls) names.insert(text(one, "functionName"));
  return {names.begin(), names.end()};
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

std::int64_t countCold(const boost::json::array& calls) {
  return std::ranges::count_if(calls, [](const Json& i) { return isTrue(i, "cold"); });
}

std::vector<CallTimes> timesOf(const boost::json::array& calls, const std::string& function) {
  std::vector<CallTimes> times;
  for (const Json& one : calls) {
    if (text(one, "functionName") != function) continue;
    const auto received = parseIso8601(text(one, "startedTime"));
    if (!received) continue;
    times.push_back({*received, Duration(std::llround(number(one, "totalMs") * 1e6)),
                     isTrue(one, "cold") ? CallTimes::Start::Cold : CallTimes::Start::Warm});
  }
  return times;
}

std::string rangeText(const ConcurrencyShare& share) {
  if (share.to == 0) return fmt::format("{} and more", share.from);
  if (share.from == share.to) return std::to_string(share.from);
  return fmt::format("{} to {}", share.from, share.to);
}

void printShares(const boost::json::array& calls, const std::vector<std::string>& names) {
  Table table({left("FUNCTION"), left("CALLS AT ONCE"), right("CALLS"), right("COLD"),
               right("SHARE COLD")});
  for (const std::string& name : names) {
    for (const ConcurrencyShare& share : coldByConcurrency(timesOf(calls, name))) {
      table.add({name, rangeText(share), std::to_string(share.calls), std::to_string(share.cold),
                 formatPercent(static_cast<double>(share.cold) / share.calls)});
    }
  }
  if (table.empty()) return;
  print("\n" + table.text());
  printLine(fmt::format(
      "{} of the last {} calls started cold ({})", countCold(calls), calls.size(),
      formatPercent(static_cast<double>(countCold(calls)) / static_cast<double>(calls.size()))));
}

boost::json::array sharesJson(const boost::json::array& calls,
                              const std::vector<std::string>& names) {
  boost::json::array out;
  for (const std::string& name : names) {
    for (const ConcurrencyShare& share : coldByConcurrency(timesOf(calls, name))) {
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
  Outcome<boost::json::array> recent =
      invocationsOf(context, name, {{"limit", std::string(kRecent)}});
  if (!recent) return std::unexpected(recent.error());
  if (!name.empty() && recent->empty()) {
    Outcome<Json> known = context.client.get(functionPath(name), "GetFunction");
    if (!known) return std::unexpected(known.error());
  }
  const std::vector<std::string> names = functionsIn(*recent);
  if (context.asJson()) {
    printJson(JsonObject{{"invocations", std::move(*cold)},
                         {"recentCalls", recent->size()},
                         {"recentColdCalls", countCold(*recent)},
                         {"byConcurrency", sharesJson(*recent, names)}});
    return {};
  }
  printWaterfalls(*cold);
  printShares(*recent, names);
  return {};
}

}  // namespace okibi::cli
