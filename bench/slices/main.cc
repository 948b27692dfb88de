// Which card takes a slice? Slices of mixed sizes come and go on small fleets, under each rule of
// the daemon's own planner (PlannerConfig::cardRule) and a virtual clock: a table. The load is what
// would hold 95% of the fleet's memory if all were served; who has no slice in 10 s is turned away.
// Means of three seeds.

#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <string>
#include <vector>

#include "sim/parse.h"
#include "sim/synthetic.h"
#include "sim/world.h"

namespace okibi {
namespace {

using std::chrono::seconds;

struct Mix {
  const char* name;
  std::vector<int> sizes;  // GB, of the functions in turn
  int card;                // GB
};

struct Rule {
  const char* name;
  planner::CardRule rule;
};

// Of the memory asked for and of the requests, what was turned away, in percent; mean wait in
// seconds; instances that made room for others, by a hundred requests.
using Figures = std::array<double, 4>;

constexpr double kLoad = 0.95, kServiceSeconds = 60;
constexpr std::int64_t kRequests = 15'000, kFunctionsPerCard = 8;
constexpr std::uint64_t kSeeds = 3;

std::vector<int> evenly(int most) {
  std::vector<int> sizes(static_cast<std::size_t>(most));
  std::iota(sizes.begin(), sizes.end(), 1);
  return sizes;
}

sim::SyntheticOptions workloadOf(const Mix& mix, int cards, std::uint64_t seed) {
  sim::SyntheticOptions options;
  const auto kinds = static_cast<std::int64_t>(mix.sizes.size());
  const double mean =
      std::accumulate(mix.sizes.begin(), mix.sizes.end(), 0.0) / static_cast<double>(kinds);
  const double time = kRequests * kServiceSeconds * mean / (kLoad * cards * mix.card);
  options.seed = seed;
  options.functions = (kFunctionsPerCard * cards + kinds - 1) / kinds * kinds;
  options.requests = kRequests;
  options.time = seconds(std::llround(time));
  options.skew = options.timers = options.bursts = 0;
  options.daily = false;
  options.service = sim::Distribution::parse("exp:60s").value();
  options.slices.clear();
  for (int size : mix.sizes) options.slices.push_back(Bytes::gib(size));
  return options;
}

Figures figuresOf(const sim::Tally& tally, const Mix& mix) {
  double asked = 0, refused = 0;
  for (std::size_t i = 0; i < tally.functions.size(); ++i) {
    const int size = mix.sizes[i % mix.sizes.size()];
    asked += size * static_cast<double>(tally.functions[i].requests);
    refused += size * static_cast<double>(tally.functions[i].refused);
  }
  return {100 * refused / asked, 100 * tally.refused / tally.requests,
          sim::toSeconds(tally.waits.mean()),
          100 * static_cast<double>(tally.madeRoom) / tally.requests};
}

Figures play(const Mix& mix, int cards, const Rule& rule, Duration idle) {
  Figures sum{};
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    sim::WorldOptions world;
    world.fleet.cards = {{cards, "T", Bytes::gib(mix.card)}};
    world.fleet.coldStart = sim::Distribution(seconds(2));
    world.policy.idleTimeout = idle;
    world.policy.cardRule = rule.rule;
    world.policy.scaleOut = planner::ScaleOut::PerRequest;
    world.deadline = seconds(10);
    world.seed = seed;
    const auto workload = sim::makeSynthetic(workloadOf(mix, cards, seed));
    const Result<sim::Tally> tally = sim::simulate(world, *workload);
    if (!tally) std::exit(1);
    const Figures figures = figuresOf(*tally, mix);
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += figures[i] / kSeeds;
  }
  return sum;
}

void run() {
  const std::vector<Mix> mixes{
      {"5, 10, 20, 40, 80 of 80", {5, 10, 20, 40, 80}, 80},
      {"1 to 24 of 24, evenly", evenly(24), 24},
      {"2, 6, 10, 14, 20, 26, 44 of 48", {2, 6, 10, 14, 20, 26, 44}, 48},
      {"2, 4, 16 of 16", {2, 4, 16}, 16},
      {"12, 16, 24 of 48", {12, 16, 24}, 48},
      {"8, 12 of 24", {8, 12}, 24},
  };
  const std::array rules{Rule{"best fit", planner::CardRule::BestFit},
                         Rule{"fragmentation", planner::CardRule::Fragmentation}};
  std::printf(
      "mix (GB) | cards | idle s | rule | memory refused %% | requests refused %% | "
      "mean wait s | made room per 100\n");
  for (const Mix& mix : mixes) {
    for (int cards : {8, 64}) {
      for (int idle : {1, 120}) {
        for (const Rule& rule : rules) {
          const Figures f = play(mix, cards, rule, seconds(idle));
          std::printf("%s | %d | %d | %s | %.2f | %.2f | %.3f | %.1f\n", mix.name, cards, idle,
                      rule.name, f[0], f[1], f[2], f[3]);
          std::fflush(stdout);
        }
      }
    }
  }
}

}  // namespace
}  // namespace okibi

int main() {
  okibi::run();
}
