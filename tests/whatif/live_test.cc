// okibi whatif against life: half an hour of requests is predicted for a configuration, and played
// under it with the daemon's own conductor, planner and ledger. Processes are fake and time is
// virtual.

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "base/random.h"
#include "conductor/testing_world.h"
#include "sim/what_if.h"

namespace okibi::conductor {
namespace {

using seams::FakeInstance;
using testing::World;

constexpr Duration kSpan = 30min;
constexpr const char* kType = "fc.gpu.tesla.1";
constexpr std::uint64_t kCards = 8;
constexpr Bytes kCard = Bytes::gib(16), kSlice = Bytes::gib(8);

struct Planned {
  Duration at{}, service{};
};
struct Config {
  int concurrency = 1;
  Seconds idle{60};
  int minimum = 0;
  bool keptRuns = true;  // else it rests while nothing is on it
};
// Until the application listens; its initializer takes 2 s more.
constexpr Duration kInitializer = 2s;
Duration startOf(Random& random) {
  return 1ms * random.between(3800, 4200);
}

// What came of it.
struct Lived {
  std::vector<ledger::HistoryEntry> requests;
  WallTime until{};
  Money cost;
  std::vector<Duration> waits;  // ascending

  Duration waitAt(double share) const {
    const auto rank =
        static_cast<std::size_t>(std::ceil(share * static_cast<double>(waits.size())));
    return waits[std::max<std::size_t>(rank, 1) - 1];
  }
};

ledger::HistoryEntry entryOf(const seams::HistoryRow& row) {
  using std::chrono::microseconds;
  ledger::HistoryEntry entry;
  entry.received = row.received;
  entry.waited = microseconds(row.waitedUs);
  entry.service = microseconds(row.serviceUs);
  entry.startTook = microseconds(row.startUs);
  entry.startInit = microseconds(row.initUs);
  entry.start = static_cast<ledger::StartKind>(row.start);
  entry.fate = static_cast<ledger::HistoryEntry::Fate>(row.fate);
  entry.concurrency = row.concurrency;
  entry.slice = Bytes::mib(row.sliceMb);
  return entry;
}

// One function on its cards, for that long.
class Life {
 public:
  explicit Life(Config config)
      : config_(config), world_([](Settings& settings) {
          for (std::uint64_t i = 1; i <= kCards; ++i) {
            settings.cards.push_back({CardId(i), "SIM-" + std::to_string(i), kType, kCard});
          }
        }) {
    const WallTime epoch = wallNow();
    const Instant zero = world_.loop->now();
    world_.wall = [this, epoch, zero] {
      return epoch + std::chrono::floor<std::chrono::milliseconds>(world_.loop->now() - zero);
    };
    world_.runtime.script.app = [this](net::Exchange& exchange, FakeInstance&) -> net::Task<void> {
      const std::string& target = exchange.request().target;
      const bool init = target == "/initialize";
      co_await world_.loop->sleep(init ? kInitializer : Duration(std::stoll(target.substr(1))));
      co_await net::answer(exchange, {}, "done");
    };
  }

  Lived live(const std::vector<Planned>& load, std::uint64_t seed) {
    Lived lived;
    world_.run([&]() -> net::Task<void> {
      Random random(seed);
      world_.runtime.script.start = startOf(random);
      co_await world_.deploy(spec());
      co_await keep(config_.minimum);
      const Instant begin = world_.loop->now();
      for (const Planned& one : load) {
        co_await world_.loop->sleepUntil(begin + one.at);
        world_.runtime.script.start = startOf(random);
        world_.loop->spawn(call(one.service));
      }
      co_await world_.loop->sleepUntil(begin + kSpan);
      lived.until = world_.wall();
      co_await keep(0);
      co_await world_.conductor->drain(world_.loop->now() + 1h);
      co_await readOff(lived);
    });
    return lived;
  }

 private:
  FunctionSpec spec() const {
    FunctionSpec spec = world_.spec("f");
    spec.gpu = GpuConfig{kType, kSlice};
    spec.concurrency = config_.concurrency;
    spec.idleTimeout = config_.idle;
    spec.initializer.handler = "load";
    return spec;
  }

  net::Task<void> call(Duration service) {
    auto called = co_await world_.call("f", "/" + std::to_string(service.count()));
    EXPECT_TRUE(called.body) << called.body.error().message;
  }

  net::Task<void> keep(int minimum) {
    const ResourceId id{World::ref("f"), std::string(kLatest)};
    MinimumConfig config;
    config.minimum = minimum;
    config.alwaysGpu = config_.keptRuns;
    EXPECT_TRUE(world_.catalog.resources().put(id, config));
    world_.conductor->applyMinimums();
    while (world_.conductor->minimumStatus(World::ref("f"), std::string(kLatest)).current <
           minimum) {
      co_await world_.loop->sleep(100ms);
    }
  }

  net::Task<void> readOff(Lived& lived) {
    auto rows =
        co_await world_.accounting->history(World::ref("f"), 0, WallTime{}, limits::kHistoryPage);
    EXPECT_TRUE(rows);
    for (const seams::HistoryRow& row : *rows) {
      lived.requests.push_back(entryOf(row));
      lived.waits.push_back(lived.requests.back().waited);
    }
    std::ranges::sort(lived.waits);
    // The time was virtual, and may have reached into the next day.
    auto report =
        co_await world_.accounting->usage(std::string(testing::kAccount), "f", lived.until + 24h);
    EXPECT_TRUE(report);
    lived.cost = report->total.cost;
  }

  const Config config_;
  World world_;
};

sim::Recording recordingOf(Lived lived) {
  sim::Recording recording;
  recording.requests = std::move(lived.requests);
  recording.until = lived.until;
  recording.terms.gpuType = kType;
  recording.terms.gpuMemory = kSlice;
  recording.cards.assign(kCards, kCard);
  recording.mostInstances = limits::kCardQuota;
  recording.startBurst = planner::PlannerConfig().startBurst;
  recording.startGrowth = planner::PlannerConfig().startGrowth;
  recording.queueDeadline = limits::kQueueDeadlineDefault;
  return recording;
}

double seconds(Duration time) {
  return std::chrono::duration<double>(time).count();
}

void expectNear(Duration predicted, Duration lived, double share, const char* what) {
  EXPECT_NEAR(seconds(predicted), seconds(lived), share * seconds(lived) + 0.001) << what;
}

// A recording of the load as it would have been under one instance: a start was seen now and then.
Lived written(const std::vector<Planned>& load) {
  Random random(7);
  Lived lived;
  const WallTime begin = wallNow();
  for (const Planned& one : load) {
    ledger::HistoryEntry entry;
    entry.received = begin + std::chrono::floor<std::chrono::milliseconds>(one.at);
    entry.service = one.service;
    if (random.chance(0.2)) {
      entry.startInit = kInitializer;
      entry.startTook = startOf(random) + kInitializer;
    }
    lived.requests.push_back(entry);
  }
  lived.until = begin + std::chrono::floor<std::chrono::milliseconds>(kSpan);
  return lived;
}

// Predicted from the recording for `wanted`, and lived under it.
void predictAndLive(const std::vector<Planned>& load, sim::Recording recording, Config wanted) {
  ASSERT_EQ(recording.requests.size(), load.size());
  recording.keptRunning = wanted.keptRuns;
  const auto row = sim::whatIf(recording, {.concurrency = wanted.concurrency,
                                           .idle = wanted.idle,
                                           .slice = kSlice,
                                           .minimum = wanted.minimum});
  ASSERT_TRUE(row) << row.error().message;
  const Lived lived = Life(wanted).live(load, 2);
  std::printf("[ whatif   ] %zu requests: p50 %.3f / %.3f s, p99 %.3f / %.3f s, cost %.6f / %.6f\n",
              load.size(), seconds(row->waitAt(0.5)), seconds(lived.waitAt(0.5)),
              seconds(row->waitAt(0.99)), seconds(lived.waitAt(0.99)),
              static_cast<double>(row->cost.micros()) / 1e6,
              static_cast<double>(lived.cost.micros()) / 1e6);
  ASSERT_EQ(lived.waits.size(), load.size());
  expectNear(row->waitAt(0.5), lived.waitAt(0.5), 0.05, "p50");
  expectNear(row->waitAt(0.99), lived.waitAt(0.99), 0.10, "p99");
  const auto cost = static_cast<double>(lived.cost.micros());
  EXPECT_NEAR(static_cast<double>(row->cost.micros()), cost, 0.01 * cost) << "cost";
}

// Gaps of `mean`, memoryless; services of `low` to `high`.
std::vector<Planned> arrivals(std::uint64_t seed, Duration mean, Duration low, Duration high) {
  Random random(seed);
  std::vector<Planned> load;
  Duration at{};
  for (;;) {
    const double gap = -seconds(mean) * std::log(1 - random.fraction());
    at += 1ms * std::llround(gap * 1000);
    if (at >= kSpan - 60s) return load;
    load.push_back({at, 1ms * random.between(low / 1ms, high / 1ms)});
  }
}

std::vector<Planned> bursts(std::uint64_t seed) {
  Random random(seed);
  std::vector<Planned> load;
  for (Duration at = 10s; at < kSpan - 60s; at += 1s * random.between(30, 180)) {
    const std::int64_t together = random.between(3, 12);
    for (std::int64_t i = 0; i < together; ++i) {
      load.push_back({at + 25ms * i, 1ms * random.between(500, 2500)});
    }
  }
  return load;
}

TEST(WhatIfLive, Sparse) {
  const auto load = arrivals(1, 40s, 1s, 4s);
  Life recorded({.concurrency = 1, .idle = Seconds(20)});
  predictAndLive(load, recordingOf(recorded.live(load, 1)),
                 {.concurrency = 1, .idle = Seconds(60)});
}
TEST(WhatIfLive, Bursty) {
  const auto load = bursts(2);
  predictAndLive(load, recordingOf(written(load)), {.concurrency = 4, .idle = Seconds(60)});
}
TEST(WhatIfLive, OverlappingWithConcurrencyFour) {
  const auto load = arrivals(3, 2500ms, 3s, 9s);
  predictAndLive(load, recordingOf(written(load)), {.concurrency = 4, .idle = Seconds(30)});
}
TEST(WhatIfLive, WithAKeptInstance) {
  const auto load = arrivals(4, 20s, 1s, 8s);
  predictAndLive(load, recordingOf(written(load)),
                 {.concurrency = 1, .idle = Seconds(60), .minimum = 1});
}
TEST(WhatIfLive, WithAKeptInstanceThatRests) {
  const auto load = arrivals(5, 20s, 1s, 8s);
  predictAndLive(load, recordingOf(written(load)),
                 {.concurrency = 1, .idle = Seconds(60), .minimum = 1, .keptRuns = false});
}

}  // namespace
}  // namespace okibi::conductor
