#pragma once
// TrafficSplit: which version each request of an alias goes to. Deterministic and exact: of any 10
// requests in a row, an additional version with weight 0.1 gets one (smooth weighted round robin:
// every version earns its weight with each request, the richest is picked and pays for all). Pure.

#include <cstdint>
#include <string>
#include <vector>

#include "model/resource.h"

namespace okibi::conductor {

class TrafficSplit {
 public:
  static constexpr std::int64_t kWhole = 1'000'000;  // weights are millionths

  explicit TrafficSplit(const Alias& alias);
  const std::string& next();

 private:
  struct Share {
    std::string version;
    std::int64_t weight = 0, credit = 0;
  };
  std::vector<Share> shares_;  // the alias's own version first, if it has a part left
};

}  // namespace okibi::conductor
