#pragma once
// What a simulated world is made of: cards, host memory, and how long things take there.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "sim/distribution.h"

namespace okibi::sim {

struct CardGroup {
  int count = 1;
  std::string type;
  Bytes memory;
};

struct Fleet {
  std::vector<CardGroup> cards;  // empty: as many as are asked for
  Bytes hostMemory = Bytes::gib(1 << 20);
  // Process, image, model load. Used where the workload does not say what a start costs.
  Distribution coldStart{std::chrono::seconds(20)};
  Distribution park{std::chrono::seconds(1)};
  Distribution wake{std::chrono::seconds(2)};
  Distribution stop{Duration::zero()};

  // Lines "key = value", '#' begins a comment. Keys: card = COUNT x TYPE x SIZE (repeatable),
  // host_memory = SIZE, cold_start, park, wake, stop = a distribution (sim/distribution.h).
  static Result<Fleet> parse(std::string_view text);
  Result<void> set(std::string_view key, std::string_view value);
};

}  // namespace okibi::sim
