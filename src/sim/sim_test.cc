// The simulator against figures that were computed independently from the same requests.

#include <cmath>
#include <fstream>
#include <map>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include "sim/parse.h"
#include "sim/report.h"
#include "sim/synthetic.h"
#include "sim/trace.h"
#include "sim/world.h"

namespace okibi::sim {
namespace {

class SimTest : public ::testing::Test {
 protected:
  static std::unique_ptr<Workload> extract() {
    TraceOptions options;
    options.path = OKIBI_TEST_DATA "/azure2019_8h_extract.csv";
    options.horizon = 8h;
    Result<std::unique_ptr<Workload>> workload = openTrace(options);
    EXPECT_TRUE(workload) << workload.error().message;
    return std::move(*workload);
  }
  static Tally run(const std::string& policy, Workload& workload, WorldOptions options) {
    options.policy = *Policy::parse(policy);
    Result<Tally> tally = simulate(options, workload);
    EXPECT_TRUE(tally) << tally.error().message;
    return std::move(*tally);
  }
  // One instance serves all requests of a function, starts take no time.
  static WorldOptions shared() {
    WorldOptions options;
    options.protocol = Protocol::Bound;
    options.concurrency = 200;
    options.fleet.coldStart = Distribution();
    return options;
  }
  // One request at a time, the one that starts an instance waits 5 s for it.
  static WorldOptions single() {
    WorldOptions options;
    options.protocol = Protocol::Bound;
    options.fleet.coldStart = Distribution(5s);
    return options;
  }
  // A file of this process alone, gone after the test.
  std::string pathOf(const std::string& name) {
    files_.push_back(::testing::TempDir() + fmt::format("okibi_sim_test_{}_{}", ::getpid(), name));
    return files_.back();
  }
  std::string file(const std::string& text) {
    const std::string path = pathOf("trace.csv");
    std::ofstream(path) << text;
    return path;
  }
  void TearDown() override {
    for (const std::string& path : files_) std::remove(path.c_str());
  }

 private:
  std::vector<std::string> files_;
};

TEST_F(SimTest, FixedWindowOfSharedInstances) {
  auto workload = extract();
  const Tally ten = run("fixed:10m", *workload, shared());
  EXPECT_EQ(ten.requests, 1523);
  EXPECT_EQ(ten.cold, 186);
  EXPECT_NEAR(ten.in(Use::Idle), 430'560.918, 1);
  const std::vector<double> weights(workload->functions().size(), 1);
  EXPECT_NEAR(ten.coldShareOfFunctionAt(0.5, weights), 0.10, 1e-9);
  EXPECT_NEAR(ten.coldShareOfFunctionAt(0.75, weights), 0.66667, 1e-4);
  EXPECT_NEAR(ten.alwaysColdFunctions(weights), 0.17391, 1e-4);
  const Tally hour = run("fixed:60m", *workload, shared());
  EXPECT_EQ(hour.cold, 31);
  EXPECT_NEAR(hour.in(Use::Idle), 605'104.458, 1);
}

TEST_F(SimTest, FixedWindowOfSingleInstances) {
  auto workload = extract();
  const Tally one = run("fixed:1m", *workload, single());
  EXPECT_EQ(one.cold, 1255);
  EXPECT_NEAR(one.in(Use::Idle), 79'464.539, 1);
  EXPECT_NEAR(one.in(Use::Busy), 18'109.091, 1);
  EXPECT_NEAR(toSeconds(one.waits.mean()), 4.12016, 1e-3);
  EXPECT_EQ(one.peak, 16);
  const Tally hour = run("fixed:60m", *workload, single());
  EXPECT_EQ(hour.cold, 48);
  EXPECT_NEAR(hour.in(Use::Idle), 669'488.163, 1);
}

TEST_F(SimTest, HybridHistogram) {
  auto workload = extract();
  const Tally one = run("hybrid:1h", *workload, shared());
  EXPECT_EQ(one.cold, 50);
  EXPECT_NEAR(one.in(Use::Idle), 308'762.893, 310);
  const Tally four = run("hybrid:4h", *workload, shared());
  EXPECT_EQ(four.cold, 42);
  EXPECT_NEAR(four.in(Use::Idle), 339'401.944, 340);
  EXPECT_GT(four.startsAhead, 0);
}

TEST_F(SimTest, TwoTiersHoldTheCardOnlyForTheFirst) {
  auto workload = extract();
  const Tally hour = run("fixed:60m", *workload, single());
  const Tally tiers = run("two-tier:1m:60m", *workload, single());
  EXPECT_NEAR(tiers.cold, hour.cold, 3);
  EXPECT_NEAR(tiers.in(Use::Idle) + tiers.in(Use::Parked), hour.in(Use::Idle), 20'000);
  EXPECT_LT(tiers.in(Use::Idle), hour.in(Use::Idle) / 5);
  EXPECT_GT(tiers.woken, 500);
}

TEST_F(SimTest, LearnedNeedsNoMoreThanItsRuleAndServesMore) {
  auto workload =
      makeSynthetic(*SyntheticOptions::parse("functions=60,requests=20000,time=48h,skew=1.2"));
  const Tally rule = run("two-tier:1m:60m", *workload, single());
  const Tally learned = run("learned:1m:60m", *workload, single());
  EXPECT_LE(learned.in(Use::Idle), rule.in(Use::Idle) * 1.05);
  EXPECT_LE(learned.in(Use::Parked), rule.in(Use::Parked) * 1.05);
  EXPECT_LT(learned.cold + learned.woken, rule.cold + rule.woken);
  const Tally window = run("fixed:10m", *workload, single());
  const Tally alone = run("learned:10m", *workload, single());
  EXPECT_LE(alone.in(Use::Idle), window.in(Use::Idle) * 1.05);
  EXPECT_LT(alone.cold, window.cold);
}

// Timers that ten minutes miss are awaited instead: half the cold starts for what ten minutes hold.
TEST_F(SimTest, LearnedStartsAheadOfWhatRepeats) {
  auto workload =
      makeSynthetic(*SyntheticOptions::parse("functions=40,requests=6000,time=72h,timers=0.7"));
  const Tally rule = run("fixed:10m", *workload, {});
  const Tally learned = run("learned:10m", *workload, {});
  const auto held = [](const Tally& t) { return t.in(Use::Idle) + t.in(Use::Starting); };
  EXPECT_GT(learned.startsAhead, 500);
  EXPECT_LT(learned.cold, rule.cold * 0.5);
  EXPECT_LT(held(learned), held(rule) * 1.05);
  EXPECT_LT(learned.waits.mean(), rule.waits.mean() / 2);
  auto tiers =
      makeSynthetic(*SyntheticOptions::parse("functions=40,requests=30000,time=24h,timers=0.7"));
  EXPECT_GT(run("learned:1m:60m", *tiers, {}).wakesAhead, 100);
}

// One more comes with the request that leaves nobody free; its start is paid for by the same
// budget.
TEST_F(SimTest, LearnedHasOneMoreReadyInBursts) {
  auto workload = makeSynthetic(*SyntheticOptions::parse(
      "functions=20,requests=8000,time=48h,bursts=1,timers=0,service=lognormal:10s:0.8"));
  const auto held = [](const Tally& t) { return t.in(Use::Idle) + t.in(Use::Starting); };
  for (const std::string budget : {"5m", "1m:60m"}) {
    const bool parks = budget.contains(':');
    const Tally rule = run((parks ? "two-tier:" : "fixed:") + budget, *workload, {});
    const Tally learned = run("learned:" + budget, *workload, {});
    EXPECT_GT(learned.startsAhead, 300) << budget;
    EXPECT_LT(learned.starts - learned.startsAhead, 0.95 * rule.starts) << budget;
    EXPECT_LT(learned.waits.mean(), 0.92 * rule.waits.mean()) << budget;
    EXPECT_LT(held(learned), 1.06 * held(rule)) << budget;
    EXPECT_LE(learned.in(Use::Parked), 1.02 * rule.in(Use::Parked)) << budget;
  }
}

TEST_F(SimTest, WaitingInLineStartsFewerAndBoundsTheWait) {
  auto workload = makeSynthetic(*SyntheticOptions::parse(
      "functions=10,requests=5000,time=12h,bursts=1,timers=0,service=lognormal:2s:0.8"));
  const Tally each = run("fixed:5m/per-request", *workload, {});
  const Tally line = run("fixed:5m/expected-wait:0", *workload, {});
  const Tally shorter = run("fixed:5m", *workload, {});
  EXPECT_LT(line.starts, each.starts * 7 / 10);
  EXPECT_LT(line.in(Use::Idle), each.in(Use::Idle) * 0.8);
  EXPECT_GT(shorter.starts, line.starts);
  EXPECT_LT(shorter.starts, each.starts);
  // A start of 20 s after at most two in line.
  EXPECT_LE(toSeconds(line.waits.quantile(1)), 60.5);
  EXPECT_EQ(line.refused, 0);
  EXPECT_FALSE(Policy::parse("fixed:5m/sometimes"));
  EXPECT_FALSE(Policy::parse("fixed:5m/expected-wait:-101"));
  EXPECT_EQ(Policy::parse("fixed:5m/per-request/fragmentation")->cardRule,
            planner::CardRule::Fragmentation);
}

// The same overload with and without: who is refused early must not be one who would have been
// served.
TEST_F(SimTest, EarlyRefusalsAreOfThoseWhoWouldNotHaveBeenServed) {
  using Fate = WorldOptions::Fate;
  double early = 0, wrong = 0, late = 0, requests = 0;
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    SyntheticOptions synthetic = *SyntheticOptions::parse(
        "functions=2,requests=6000,time=4h,bursts=1,timers=0,daily=0,service=lognormal:8s:0.6");
    synthetic.seed = seed;
    auto workload = makeSynthetic(synthetic);
    WorldOptions world;
    world.fleet = *Fleet::parse("card = 2 x T x 16G\ncold_start = 5s\n");
    world.deadline = 120s;
    world.hasty = 10s;
    std::map<std::uint64_t, Fate> with, without;
    world.observe = [&](std::uint64_t id, Fate fate) { with[id] = fate; };
    requests += run("fixed:1m", *workload, world).requests;
    world.refuseEarly = false;
    world.observe = [&](std::uint64_t id, Fate fate) { without[id] = fate; };
    run("fixed:1m", *workload, world);
    for (const auto& [id, fate] : with) {
      if (fate == Fate::Refused) ++late;
      if (fate != Fate::RefusedEarly) continue;
      ++early;
      if (without[id] == Fate::Served) ++wrong;
    }
  }
  RecordProperty("figures", fmt::format("{} requests, {} refused early, {} late, {} wrong",
                                        requests, early, late, wrong));
  EXPECT_GT(early, requests / 100) << wrong;
  EXPECT_LE(wrong, early / 50) << early;
}

TEST_F(SimTest, EveryRequestIsCountedOnceAndRunsRepeat) {
  SyntheticOptions options = *SyntheticOptions::parse("functions=20,requests=3000,time=24h");
  auto workload = makeSynthetic(options);
  WorldOptions world;
  world.fleet = *Fleet::parse("card = 1 x T x 16G\npark = 1s..2s\n");
  for (const char* policy : {"fixed:1m", "two-tier:20s:10m", "learned:20s:10m", "hybrid:1h"}) {
    const Tally first = run(policy, *workload, world);
    EXPECT_NEAR(first.requests, 3000, 600) << policy;
    EXPECT_EQ(first.warm + first.woken + first.cold + first.refused, first.requests) << policy;
    EXPECT_GT(first.refused + static_cast<double>(first.madeRoom + first.parks), 0) << policy;
    const Tally second = run(policy, *workload, world);
    EXPECT_EQ(first.cold, second.cold) << policy;
    EXPECT_EQ(first.in(Use::Idle), second.in(Use::Idle)) << policy;
  }
}

TEST_F(SimTest, TraceColumnsUnitsGzipAndOrder) {
  const std::string path = pathOf("trace.csv.gz");
  gzFile zipped = gzopen(path.c_str(), "wb");
  gzputs(zipped, "ts,app,took,n\n3000,b,10,1\n1000,a,20,2\n");
  gzclose(zipped);
  TraceOptions options;
  options.path = path;
  options.columns = *TraceColumns::parse("arrival=ts@ms,function=app,duration=took@s,count=n");
  auto workload = openTrace(options);
  ASSERT_TRUE(workload) << workload.error().message;
  std::string seen;
  Request request;
  while (*(*workload)->next(request)) {
    seen += (*workload)->functions()[request.function].name +
            formatDuration(request.at - Instant()) + " ";
  }
  EXPECT_EQ(seen, "a1s a1s b3s ");
  EXPECT_EQ((*workload)->horizon(), 1min);
}

TEST_F(SimTest, FunctionsHaveSlicesAndWeights) {
  TraceOptions options;
  options.path = file("arrival_s,function,duration_s\n1,a,1\n2,b,1\n");
  options.functionsPath = pathOf("functions.csv");
  const auto open = [&](const std::string& functions) {
    std::ofstream(options.functionsPath) << functions;
    return openTrace(options);
  };
  auto workload = open("function,gpu_mem_mib,weight,okibi_weight\nb,4096,0.5,3\n");
  ASSERT_TRUE(workload) << workload.error().message;
  std::map<std::string, WorkloadFunction> functions;
  for (const WorkloadFunction& one : (*workload)->functions()) functions[one.name] = one;
  EXPECT_EQ(functions["a"].part, 1);
  EXPECT_EQ(functions["b"].part, 3);
  EXPECT_EQ(functions["b"].weight, 0.5);
  EXPECT_EQ(functions["b"].slice, Bytes::gib(4));
  for (const char* wrong : {"0", "101", "2.5"}) {
    const auto refused = open(std::string("function,okibi_weight\nb,") + wrong + "\n");
    EXPECT_TRUE(refused.error().message.contains("is not a whole number in 1–100"));
  }
}

TEST_F(SimTest, BadTracesAreNamedWithTheirPlace) {
  const auto fault = [this](const std::string& text, const std::string& columns = {}) {
    TraceOptions options;
    options.path = file(text);
    options.columns = *TraceColumns::parse(columns);
    auto workload = openTrace(options);
    return workload ? std::string("none") : workload.error().message;
  };
  EXPECT_TRUE(fault("a,b\n1,2\n").contains("no column 'arrival_s'; it has a, b"));
  EXPECT_TRUE(fault("arrival_s\nsoon\n").contains("line 2: arrival_s: 'soon' is not a number"));
  EXPECT_TRUE(fault("arrival_s\n1,2\n").contains("line 2: 2 fields, 1 titles"));
  EXPECT_TRUE(fault("arrival_s\n-1\n").contains("line 2: negative arrival"));
  EXPECT_TRUE(fault("").contains("is empty"));
  EXPECT_FALSE(TraceColumns::parse("when=x"));
}

TEST_F(SimTest, OptionsAreChecked) {
  EXPECT_FALSE(Policy::parse("fixed"));
  EXPECT_FALSE(Policy::parse("two-tier:10m:1m"));
  EXPECT_FALSE(Policy::parse("lucky:1m"));
  EXPECT_FALSE(Distribution::parse("5s..1s"));
  EXPECT_FALSE(Distribution::parse("lognormal:1s:-1"));
  EXPECT_FALSE(Fleet::parse("card = 0 x T x 1G"));
  EXPECT_EQ(Fleet::parse("stop = 1s\nwings = 2").error().message,
            "line 2: 'wings' is not card, host_memory, cold_start, park, wake or stop");
  EXPECT_FALSE(SyntheticOptions::parse("timers=0.6,bursts=0.6"));
  EXPECT_FALSE(SyntheticOptions::parse("functions=0"));
  EXPECT_FALSE(SyntheticOptions::parse("slice=8G|many"));
  const auto mixed = makeSynthetic(*SyntheticOptions::parse("functions=3,slice=8G|16G"));
  EXPECT_EQ(mixed->functions()[1].slice, Bytes::gib(16));
  EXPECT_EQ(mixed->functions()[2].slice, Bytes::gib(8));
}

TEST_F(SimTest, DistributionsHaveTheirMeans) {
  const auto mean = [](const char* text) {
    const Distribution distribution = *Distribution::parse(text);
    Random random(1);
    double sum = 0;
    for (int i = 0; i < 20'000; ++i) sum += toSeconds(distribution.sample(random));
    return sum / 20'000;
  };
  EXPECT_NEAR(mean("2s"), 2, 1e-9);
  EXPECT_NEAR(mean("1s..5s"), 3, 0.05);
  EXPECT_NEAR(mean("exp:2s"), 2, 0.05);
  EXPECT_NEAR(mean("lognormal:2s:0.5"), 2 * std::exp(0.125), 0.05);
}

TEST_F(SimTest, QuantilesAreWithinAPercent) {
  WaitHistogram waits;
  for (int i = 1; i <= 1000; ++i) waits.add(std::chrono::milliseconds(i), 1);
  EXPECT_NEAR(toSeconds(waits.quantile(0.5)), 0.5, 0.005);
  EXPECT_NEAR(toSeconds(waits.quantile(0.99)), 0.99, 0.01);
  EXPECT_NEAR(waits.shareUpTo(250ms), 0.25, 0.005);
}

TEST_F(SimTest, ReportsSayTheSameInEveryForm) {
  auto workload = extract();
  Report report;
  report.workload = "a<b";
  report.protocol = "bound";
  report.horizon = 8h;
  report.weights.assign(workload->functions().size(), 1);
  report.prices.idleGbSecond = *ledger::parseUnitPrice("0.00001");
  report.runs.push_back({"fixed:10m", run("fixed:10m", *workload, shared())});
  for (const WorkloadFunction& f : workload->functions()) report.functions.push_back(f.name);
  EXPECT_TRUE(toText(report).contains("12.213"));  // 186 of 1,523
  EXPECT_TRUE(toJson(report).contains("\"cold\":1.86E2"));
  const std::string first = fmt::format("{{\"name\":\"{}\",\"requests\":", report.functions[0]);
  EXPECT_TRUE(toJson(report).contains(first));
  const std::string html = toHtml(report);
  EXPECT_TRUE(html.contains("a&lt;b"));
  EXPECT_FALSE(html.contains("src="));
  EXPECT_FALSE(html.contains("href="));
  // 430,561 idle instance seconds of 8 GB at 0.00001.
  EXPECT_NEAR(static_cast<double>(costOf(report.runs[0].tally, report.prices).idle.micros()),
              34.445e6, 1e4);
}

}  // namespace
}  // namespace okibi::sim
