// How long `okibi whatif` thinks: a function's whole history (100,000 requests over 30 days) under
// 27 settings, as the command line plays it, without the fetching. One core; seconds are of its
// time for this program.
//
// Three histories, seeded: a quiet function (requests one by one, the day's rhythm), one of bursts
// (2 to 40 together), and a busy one (the same number in a day, always several in flight).

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <utility>

#include "base/limits.h"
#include "base/random.h"
#include "sim/what_if.h"

namespace okibi {
namespace {

using namespace sim;
using namespace std::chrono_literals;

constexpr std::size_t kRequests = limits::kHistoryRequests;

double cpuSeconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

struct Shape {
  const char* name;
  Duration span;
  int burstMost;
  Duration serviceMost;
};

Recording record(const Shape& shape) {
  Random random(7);
  const WallTime begin{std::chrono::sys_days(std::chrono::year(2026) / 11 / 1)};
  Recording recording;
  while (recording.requests.size() < kRequests) {
    Duration at(random.between(0, shape.span.count()));
    // More by day than by night.
    const double hours = std::chrono::duration<double, std::ratio<3600>>(at).count();
    if (random.chance(0.5 - 0.45 * std::sin(hours / 24 * 6.283))) continue;
    const std::int64_t together = random.between(1, shape.burstMost);
    for (std::int64_t i = 0; i < together; ++i, at += 20ms) {
      ledger::HistoryEntry entry;
      entry.received = begin + std::chrono::floor<std::chrono::milliseconds>(at);
      entry.service = 1ms * random.between(50, shape.serviceMost / 1ms);
      if (random.chance(0.05)) {
        entry.start = ledger::StartKind::Cold;
        entry.startTook = 1ms * random.between(4000, 12'000);
      }
      entry.concurrency = 1;
      entry.slice = Bytes::gib(8);
      recording.requests.push_back(entry);
    }
  }
  recording.requests.resize(kRequests);
  recording.until = begin + std::chrono::floor<std::chrono::milliseconds>(shape.span);
  recording.terms.gpuType = "fc.gpu.tesla.1";
  recording.terms.gpuMemory = Bytes::gib(8);
  recording.terms.memory = Bytes::gib(4);
  recording.terms.cpu = MilliCpu{1000};
  recording.mostInstances = limits::kCardQuota;
  recording.queueDeadline = limits::kQueueDeadlineDefault;
  return recording;
}

void measure(const Shape& shape) {
  const Recording recording = record(shape);
  const double begin = cpuSeconds();
  std::size_t settings = 0, least = kRequests, most = 0;
  for (const int concurrency : {1, 2, 4}) {
    for (const Duration idle : {60s, 300s, 900s}) {
      for (const int slice : {4, 8, 16}) {
        const Result<WhatIfRow> row = whatIf(
            recording, {.concurrency = concurrency, .idle = idle, .slice = Bytes::gib(slice)});
        if (!row) {
          std::fprintf(stderr, "%s\n", row.error().message.c_str());
          std::exit(1);
        }
        ++settings;
        least = std::min(least, row->starts);
        most = std::max(most, row->starts);
      }
    }
  }
  const double took = cpuSeconds() - begin;
  std::printf("%-7s  %6zu requests x %zu settings  %6zu to %6zu starts  %6.2f s  %5.0f k/s\n",
              shape.name, recording.requests.size(), settings, least, most, took,
              static_cast<double>(settings * kRequests) / took / 1000);
}

}  // namespace
}  // namespace okibi

int main() {
  using namespace std::chrono_literals;
  okibi::measure({"quiet", 720h, 1, 4s});
  okibi::measure({"bursts", 720h, 40, 4s});
  okibi::measure({"busy", 24h, 4, 10s});
}
