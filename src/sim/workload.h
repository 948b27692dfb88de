#pragma once
// Workload: requests in order of arrival, from a trace or drawn from a seed. It can be begun again,
// so that each policy meets the same requests; it holds what it knows of functions, not requests.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"

namespace okibi::sim {

struct Request {
  Instant at;
  std::uint32_t function = 0;    // index into Workload::functions()
  Duration service{};            // its own time on an instance
  std::optional<Duration> cold;  // what a start costs that it has to wait for; nullopt: drawn
  Duration init{};               // the end of `cold` that an initializer takes
};

struct WorkloadFunction {
  std::string name;
  Bytes slice;        // GPU memory of an instance; zero: as the options say
  double weight = 1;  // how many functions of the population it stands for
  int part = 1;       // okibi.weight: its part of the cards when they are short
};

class Workload {
 public:
  virtual ~Workload() = default;
  virtual const std::vector<WorkloadFunction>& functions() const = 0;
  // The time the workload covers: idle instances are charged up to it.
  virtual Duration horizon() const = 0;
  virtual Result<void> rewind() = 0;
  // False: the end. Arrivals never go back in time.
  virtual Result<bool> next(Request& request) = 0;
};

}  // namespace okibi::sim
