#include "sim/report.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "sim/parse.h"

namespace okibi::sim {
namespace {

Money priceOf(double gbSeconds, ledger::UnitPrice price) {
  return Money(std::llround(gbSeconds * static_cast<double>(price.nanos) / 1000));
}

double percent(double part, double whole) {
  return whole > 0 ? 100 * part / whole : 0;
}

double seconds(const Tally& tally, double share) {
  return toSeconds(tally.waits.quantile(share));
}

// A line of the text table: its title, and what it shows of a run.
struct Line {
  std::string title;
  std::function<std::string(const Run&)> cell;
};

std::vector<Line> lines(const Report& report) {
  const auto number = [](double value, int digits) {
    return fmt::format("{:.{}f}", value, digits);
  };
  const auto use = [number](Use u) {
    return [u, number](const Run& r) { return number(r.tally.in(u), 0); };
  };
  const auto gbUse = [number](Use u) {
    return [u, number](const Run& r) { return number(r.tally.gbIn(u), 0); };
  };
  const auto wait = [number](double share) {
    return [share, number](const Run& r) { return number(seconds(r.tally, share), 3); };
  };
  const auto money = [&report](Money Cost::* part) {
    return [&report, part](const Run& r) {
      return ledger::toString(costOf(r.tally, report.prices).*part);
    };
  };
  return {
      {"requests", [number](const Run& r) { return number(r.tally.requests, 0); }},
      {"cold %",
       [number](const Run& r) { return number(percent(r.tally.cold, r.tally.requests), 3); }},
      {"woken %",
       [number](const Run& r) { return number(percent(r.tally.woken, r.tally.requests), 3); }},
      {"warm %",
       [number](const Run& r) { return number(percent(r.tally.warm, r.tally.requests), 3); }},
      {"refused %",
       [number](const Run& r) { return number(percent(r.tally.refused, r.tally.requests), 3); }},
      {"refused early %",
       [number](const Run& r) {
         return number(percent(r.tally.refusedEarly, r.tally.requests), 3);
       }},
      {"wait mean s",
       [number](const Run& r) { return number(toSeconds(r.tally.waits.mean()), 3); }},
      {"wait p50 s", wait(0.5)},
      {"wait p90 s", wait(0.9)},
      {"wait p95 s", wait(0.95)},
      {"wait p99 s", wait(0.99)},
      {"busy instance s", use(Use::Busy)},
      {"starting instance s", use(Use::Starting)},
      {"idle instance s", use(Use::Idle)},
      {"parked instance s", use(Use::Parked)},
      {"busy GPU GB s", gbUse(Use::Busy)},
      {"starting GPU GB s", gbUse(Use::Starting)},
      {"idle GPU GB s", gbUse(Use::Idle)},
      {"parked host GB s", gbUse(Use::Parked)},
      {"starts", [](const Run& r) { return fmt::format("{}", r.tally.starts); }},
      {"starts ahead", [](const Run& r) { return fmt::format("{}", r.tally.startsAhead); }},
      {"wakes", [](const Run& r) { return fmt::format("{}", r.tally.wakes); }},
      {"wakes ahead", [](const Run& r) { return fmt::format("{}", r.tally.wakesAhead); }},
      {"made room", [](const Run& r) { return fmt::format("{}", r.tally.madeRoom); }},
      {"peak instances", [](const Run& r) { return fmt::format("{}", r.tally.peak); }},
      {"function cold % p50",
       [number, &report](const Run& r) {
         return number(100 * r.tally.coldShareOfFunctionAt(0.5, report.weights), 2);
       }},
      {"function cold % p75",
       [number, &report](const Run& r) {
         return number(100 * r.tally.coldShareOfFunctionAt(0.75, report.weights), 2);
       }},
      {"functions always cold %",
       [number, &report](const Run& r) {
         return number(100 * r.tally.alwaysColdFunctions(report.weights), 2);
       }},
      {fmt::format("cost active {}", report.prices.book.currency), money(&Cost::active)},
      {"cost idle", money(&Cost::idle)},
      {"cost parked", money(&Cost::parked)},
  };
}

// In the workload's order; those that had no request are left out.
boost::json::array functionsJson(const Report& report, const Tally& tally) {
  boost::json::array functions;
  for (std::size_t i = 0; i < tally.functions.size(); ++i) {
    const FunctionTally& f = tally.functions[i];
    if (f.requests == 0) continue;
    functions.push_back(boost::json::object{{"name", report.functions[i]},
                                            {"requests", f.requests},
                                            {"cold", f.cold},
                                            {"woken", f.woken},
                                            {"refused", f.refused}});
  }
  return functions;
}

boost::json::object jsonOf(const Run& run, const Report& report) {
  const Tally& t = run.tally;
  const Cost cost = costOf(t, report.prices);
  boost::json::object refusals;
  for (const auto& [reason, count] : t.refusals) refusals[reason] = count;
  const auto byUse = [](const double(&values)[kUses]) {
    return boost::json::object{
        {"starting", values[0]}, {"busy", values[1]}, {"idle", values[2]}, {"parked", values[3]}};
  };
  return {{"policy", run.policy},
          {"requests", t.requests},
          {"cold", t.cold},
          {"woken", t.woken},
          {"warm", t.warm},
          {"refused", t.refused},
          {"refusedEarly", t.refusedEarly},
          {"refusals", refusals},
          {"waitSeconds", boost::json::object{{"mean", toSeconds(t.waits.mean())},
                                              {"p50", seconds(t, 0.5)},
                                              {"p90", seconds(t, 0.9)},
                                              {"p95", seconds(t, 0.95)},
                                              {"p99", seconds(t, 0.99)}}},
          {"instanceSeconds", byUse(t.seconds)},
          {"gbSeconds", byUse(t.gbSeconds)},
          {"starts", t.starts},
          {"startsAhead", t.startsAhead},
          {"wakes", t.wakes},
          {"wakesAhead", t.wakesAhead},
          {"madeRoom", t.madeRoom},
          {"peakInstances", t.peak},
          {"functionColdShare",
           boost::json::object{{"p50", t.coldShareOfFunctionAt(0.5, report.weights)},
                               {"p75", t.coldShareOfFunctionAt(0.75, report.weights)},
                               {"alwaysCold", t.alwaysColdFunctions(report.weights)}}},
          {"functions", functionsJson(report, t)},
          {"costMicros", boost::json::object{{"active", cost.active.micros()},
                                             {"idle", cost.idle.micros()},
                                             {"parked", cost.parked.micros()},
                                             {"total", cost.total().micros()}}}};
}

}  // namespace

Cost costOf(const Tally& tally, const SimPrices& prices) {
  const double active = tally.gbIn(Use::Busy) + tally.gbIn(Use::Starting);
  return {priceOf(active, prices.book.gpuGbSecond),
          priceOf(tally.gbIn(Use::Idle), prices.idleGbSecond),
          priceOf(tally.gbIn(Use::Parked), prices.parkedGbSecond)};
}

std::string toText(const Report& report) {
  std::string text = fmt::format("{}, {}, protocol {}\n", report.workload,
                                 formatDuration(report.horizon), report.protocol);
  std::vector<std::size_t> widths;
  for (const Run& run : report.runs) widths.push_back(std::max<std::size_t>(run.policy.size(), 12));
  text += fmt::format("{:<24}", "policy");
  for (std::size_t i = 0; i < widths.size(); ++i) {
    text += fmt::format("  {:>{}}", report.runs[i].policy, widths[i]);
  }
  text += '\n';
  for (const Line& line : lines(report)) {
    text += fmt::format("{:<24}", line.title);
    for (std::size_t i = 0; i < widths.size(); ++i) {
      text += fmt::format("  {:>{}}", line.cell(report.runs[i]), widths[i]);
    }
    text += '\n';
  }
  for (const Run& run : report.runs) {
    for (const auto& [reason, count] : run.tally.refusals) {
      text += fmt::format("{} refused {:.0f}: {}\n", run.policy, count, reason);
    }
  }
  return text;
}

std::string toJson(const Report& report) {
  boost::json::array runs;
  for (const Run& run : report.runs) runs.push_back(jsonOf(run, report));
  return boost::json::serialize(boost::json::object{{"workload", report.workload},
                                                    {"protocol", report.protocol},
                                                    {"horizonSeconds", toSeconds(report.horizon)},
                                                    {"currency", report.prices.book.currency},
                                                    {"runs", runs}}) +
         "\n";
}

}  // namespace okibi::sim
