#pragma once
// A workload drawn from a seed: functions of unequal rate, each with its own rhythm. The same seed
// gives the same requests everywhere; memory grows with functions, not with requests.

#include <memory>
#include <string_view>
#include <vector>

#include "sim/distribution.h"
#include "sim/workload.h"

namespace okibi::sim {

struct SyntheticOptions {
  std::uint64_t seed = 1;
  std::int64_t functions = 100;
  std::int64_t requests = 100'000;  // expected over the whole time
  Duration time = std::chrono::hours(24);
  double skew = 1;  // the k-th function's share of the requests goes with 1 / k^skew
  // Shares of the functions by rhythm; the rest is memoryless.
  double timers = 0.3;  // a fixed period
  double bursts = 0.3;  // short bursts with long pauses
  bool daily = true;    // fewer requests at night
  Distribution service{std::chrono::seconds(1)};
  std::vector<Bytes> slices{Bytes::gib(8)};  // of the functions in turn

  // "functions=100,requests=1000000,time=24h,skew=1,timers=0.3,bursts=0.3,daily=1,service=DIST,
  // slice=8G|16G": any of these. Invalid names the key and its range.
  static Result<SyntheticOptions> parse(std::string_view text);
};

std::unique_ptr<Workload> makeSynthetic(const SyntheticOptions& options);

}  // namespace okibi::sim
