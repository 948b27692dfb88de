// `okibi simulate`: the daemon's planner under a virtual clock.

#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/files.h"
#include "cli/table.h"
#include "sim/fault_world.h"
#include "sim/packing_run.h"
#include "sim/parse.h"
#include "sim/report.h"
#include "sim/scenario.h"
#include "sim/synthetic.h"
#include "sim/trace.h"
#include "sim/world.h"

namespace okibi::cli {
namespace {

// The options as the simulator takes them.
struct Setup {
  std::unique_ptr<sim::Workload> workload;
  std::string workloadName;
  sim::WorldOptions world;
  std::vector<sim::Policy> policies;
  sim::SimPrices prices;
};

template <typename T>
Result<void> take(Result<T> read, std::string_view option, T& target) {
  if (!read) return fail(withContext(read.error(), option));
  target = std::move(*read);
  return {};
}

Result<void> readWorkload(const SimulateOptions& options, Setup& setup) {
  sim::Distribution service;
  if (!options.service.empty()) {
    if (auto r = take(sim::Distribution::parse(options.service), "--service", service); !r)
      return r;
  }
  if (options.trace.empty()) {
    sim::SyntheticOptions synthetic;
    if (auto r = take(sim::SyntheticOptions::parse(options.synthetic), "--synthetic", synthetic);
        !r) {
      return r;
    }
    synthetic.seed = options.seed;
    setup.workload = sim::makeSynthetic(synthetic);
    setup.workloadName = fmt::format("synthetic {} seed {}", options.synthetic, options.seed);
    return {};
  }
  sim::TraceOptions trace;
  trace.path = options.trace;
  trace.functionsPath = options.functionsFile;
  trace.service = service;
  trace.seed = options.seed;
  if (auto r = take(sim::TraceColumns::parse(options.columns), "--columns", trace.columns); !r)
    return r;
  if (!options.horizon.empty()) {
    Duration horizon{};
    if (auto r = take(sim::parseDuration(options.horizon), "--horizon", horizon); !r) return r;
    trace.horizon = horizon;
  }
  setup.workloadName = options.trace;
  return take(sim::openTrace(trace), "trace", setup.workload);
}

Result<void> readFleet(const SimulateOptions& options, sim::Fleet& fleet) {
  if (!options.fleetFile.empty()) {
    Result<std::string> text = readFile(options.fleetFile, Bytes::mib(1));
    if (!text) return fail(text.error());
    if (auto r = take(sim::Fleet::parse(*text), options.fleetFile, fleet); !r) return r;
  }
  for (const std::string& setting : options.fleet) {
    const std::size_t equals = setting.find('=');
    if (equals == std::string::npos) {
      return fail(ErrorKind::Invalid, fmt::format("--set: '{}' is not KEY=VALUE", setting));
    }
    Result<void> done = fleet.set(setting.substr(0, equals), setting.substr(equals + 1));
    if (!done) return fail(withContext(done.error(), "--set"));
  }
  return {};
}

Result<void> readWorld(const SimulateOptions& options, sim::WorldOptions& world) {
  if (auto r = readFleet(options, world.fleet); !r) return r;
  if (auto r = take(sim::parseBytes(options.slice), "--slice", world.slice); !r) return r;
  if (auto r = take(sim::parseDuration(options.deadline), "--deadline", world.deadline); !r)
    return r;
  world.concurrency = options.concurrency;
  world.cardQuota = options.cardQuota;
  world.seed = options.seed;
  if (options.protocol == "bound") world.protocol = sim::Protocol::Bound;
  return {};
}

Result<void> readPrices(const SimulateOptions& options, sim::SimPrices& prices) {
  if (!options.pricesFile.empty()) {
    Result<std::string> text = readFile(options.pricesFile, Bytes::mib(1));
    if (!text) return fail(text.error());
    if (auto r = take(ledger::parsePriceBook(*text), options.pricesFile, prices.book); !r) return r;
  }
  if (auto r = take(ledger::parseUnitPrice(options.idlePrice), "--idle-price", prices.idleGbSecond);
      !r) {
    return r;
  }
  return take(ledger::parseUnitPrice(options.parkedPrice), "--parked-price", prices.parkedGbSecond);
}

Result<Setup> readSetup(const SimulateOptions& options) {
  Setup setup;
  if (options.trace.empty() == options.synthetic.empty()) {
    return fail(ErrorKind::Invalid, "give a trace file or --synthetic, one of the two");
  }
  for (const std::string& text : options.policies) {
    Result<sim::Policy> policy = sim::Policy::parse(text);
    if (!policy) return fail(withContext(policy.error(), "--policy"));
    setup.policies.push_back(std::move(*policy));
  }
  if (auto r = readWorkload(options, setup); !r) return fail(r.error());
  if (auto r = readWorld(options, setup.world); !r) return fail(r.error());
  if (auto r = readPrices(options, setup.prices); !r) return fail(r.error());
  return setup;
}

Result<sim::Report> simulateAll(Setup& setup, const std::string& protocol) {
  sim::Report report;
  report.workload = setup.workloadName;
  report.protocol = protocol;
  report.horizon = setup.workload->horizon();
  report.prices = setup.prices;
  for (const sim::Policy& policy : setup.policies) {
    setup.world.policy = policy;
    Result<sim::Tally> tally = sim::simulate(setup.world, *setup.workload);
    if (!tally) return fail(tally.error());
    report.runs.push_back({policy.name, std::move(*tally)});
  }
  for (const sim::WorkloadFunction& function : setup.workload->functions()) {
    report.weights.push_back(function.weight);
    report.functions.push_back(function.name);
  }
  return report;
}

Outcome<void> checkLaws(Format format, const SimulateOptions& options) {
  std::int64_t steps = 0, dispatched = 0, ahead = 0, aheadLost = 0;
  for (std::uint64_t seed = options.seed; seed < options.seed + options.seeds; ++seed) {
    const sim::CheckResult result = sim::checkSeed(seed);
    if (!result.violation.empty()) {
      return std::unexpected(localFailure(
          {ErrorKind::Internal,
           fmt::format("{}; repeat with okibi simulate --check --seed {}", result.violation, seed),
           "LawBroken"}));
    }
    steps += result.steps;
    dispatched += result.dispatched;
    ahead += result.ahead;
    aheadLost += result.aheadLost;
  }
  print(
      format == Format::JsonText
          ? fmt::format("{{\"seeds\":{},\"steps\":{},\"dispatched\":{},\"ahead\":{},"
                        "\"aheadLost\":{}}}\n",
                        options.seeds, steps, dispatched, ahead, aheadLost)
          : fmt::format("{} seeds from {}: all laws held in {} steps, {} requests served, {} "
                        "instances came ahead of requests and {} of those were lost before them\n",
                        options.seeds, options.seed, steps, dispatched, ahead, aheadLost));
  return {};
}

Outcome<void> playScenario(Format format, const SimulateOptions& options) {
  Result<std::string> text = readFile(options.scenario, Bytes::mib(1));
  if (!text) return std::unexpected(localFailure(text.error()));
  Result<sim::Scenario> scenario = sim::Scenario::parse(*text);
  if (!scenario) {
    return std::unexpected(localFailure(withContext(scenario.error(), options.scenario)));
  }
  const sim::ScenarioResult result = sim::play(*scenario);
  if (!result.failures.empty()) {
    std::string all;
    for (const std::string& one : result.failures) all += (all.empty() ? "" : "; ") + one;
    return std::unexpected(localFailure(
        {ErrorKind::Internal, fmt::format("{}: {}", options.scenario, all), "NotAsExpected"}));
  }
  print(format == Format::JsonText ? fmt::format("{{\"steps\":{},\"served\":{},\"refused\":{}}}\n",
                                                 result.steps, result.served, result.refused)
                                   : fmt::format("as expected: {} steps, {} served, {} refused\n",
                                                 result.steps, result.served, result.refused));
  return {};
}

Outcome<void> packLists(Format format, const SimulateOptions& options) {
  Result<sim::PackingLists> lists = sim::PackingLists::read(options.nodes, options.pods);
  if (!lists) return std::unexpected(localFailure(lists.error()));
  Table table({left("placement"), right("alloc100 %"), right("alloc130 %"), right("frag100 %")});
  boost::json::array rows;
  for (const std::string& name : options.placements) {
    auto policy = sim::parsePackPolicy(name);
    if (!policy) return std::unexpected(localFailure(withContext(policy.error(), "--placement")));
    sim::PackingResult mean;
    const auto share = 1 / static_cast<double>(options.seeds);
    for (std::uint64_t seed = options.seed; seed < options.seed + options.seeds; ++seed) {
      const sim::PackingResult one = sim::pack(*lists, *policy, seed);
      mean.alloc100 += one.alloc100 * share;
      mean.alloc130 += one.alloc130 * share;
      mean.frag100 += one.frag100 * share;
    }
    table.add({name, fmt::format("{:.2f}", mean.alloc100), fmt::format("{:.2f}", mean.alloc130),
               fmt::format("{:.2f}", mean.frag100)});
    rows.push_back({{"placement", name},
                    {"alloc100", mean.alloc100},
                    {"alloc130", mean.alloc130},
                    {"frag100", mean.frag100}});
  }
  if (format == Format::JsonText) {
    printJson(rows);
  } else {
    print(table.text());
  }
  return {};
}

}  // namespace

Outcome<void> simulateWorkload(Format format, const SimulateOptions& options) {
  if (!options.nodes.empty()) return packLists(format, options);
  if (options.check) return checkLaws(format, options);
  if (!options.scenario.empty()) return playScenario(format, options);
  Result<Setup> setup = readSetup(options);
  if (!setup) return std::unexpected(localFailure(setup.error()));
  Result<sim::Report> report = simulateAll(*setup, options.protocol);
  if (!report) return std::unexpected(localFailure(report.error()));
  print(format == Format::JsonText ? sim::toJson(*report) : sim::toText(*report));
  if (options.html.empty()) return {};
  Result<void> written = writeFile(options.html, sim::toHtml(*report));
  if (!written) return std::unexpected(localFailure(written.error()));
  return {};
}

}  // namespace okibi::cli
