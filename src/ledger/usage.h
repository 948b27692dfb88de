#pragma once
// Usage in integers: what is billed is the configured size of an instance times its active time,
// not what it really touched (Function Compute: billing).

#include <cstdint>
#include <optional>
#include <string>

#include "base/units.h"
#include "model/function.h"

namespace okibi::ledger {

// Billionths of the currency per unit; the unit is in the name of the variable.
struct UnitPrice {
  std::int64_t nanos = 0;
  auto operator<=>(const UnitPrice&) const = default;
};

// What an instance is billed by; fixed from its start to its end.
struct InstanceTerms {
  std::string instance;  // name, unique over all runs of all daemons ("c-…")
  FunctionRef function;
  std::uint64_t revision = 0;
  std::string gpuType;  // empty: no GPU
  Bytes gpuMemory;      // the slice
  Bytes memory, disk;
  MilliCpu cpu;
  // Per GB of the slice and second. nullopt in records older than this field: the price book that
  // folds them says.
  std::optional<UnitPrice> gpuPrice = std::nullopt;
  std::string version = {};  // "LATEST" or a version's id; empty in records older than this field
  bool operator==(const InstanceTerms&) const = default;
};

// Sums. A MB is a MiB, a GB a GiB, as everywhere in Function Compute.
struct Usage {
  std::int64_t calls = 0;      // invocations that reached an instance; hooks are not counted
  std::int64_t errors = 0;     // of those: answered with an error
  std::int64_t coldCalls = 0;  // of those: waited for an instance to start
  std::int64_t refused = 0;    // invocations that never reached an instance; free
  std::int64_t activeMs = 0;   // active intervals, each rounded up to 1 ms
  std::int64_t gpuMs = 0;      // active intervals of GPU instances, each rounded up to 1 s
  std::int64_t gpuMbMs = 0;    // slice in MB times gpuMs
  std::int64_t memoryMbMs = 0;
  std::int64_t cpuMilliMs = 0;  // thousandths of a vCPU times activeMs
  std::int64_t diskMbMs = 0;
  // Of instances that are kept and may rest while nothing is on them (Function Compute: billing),
  // to the millisecond. Their disk is in diskMbMs; idle vCPUs are free.
  std::int64_t idleMs = 0;
  std::int64_t idleGpuMbMs = 0;
  std::int64_t idleMemoryMbMs = 0;

  Usage& operator+=(const Usage& other);
  Usage& operator-=(const Usage& other);
  bool operator==(const Usage&) const = default;
};

// Duration rules (Function Compute: billing). Zero stays zero; everything else is rounded up.
std::int64_t billedMilliseconds(Duration active);  // granularity 1 ms
std::int64_t billedGpuMilliseconds(
    Duration active);  // granularity 1 s: 51 ms -> 1000, 10.5 s -> 11000

// What one active interval of an instance costs in usage.
Usage usageOfInterval(const InstanceTerms& terms, Duration active);
// What idle time of a kept instance costs in usage; less than a millisecond is nothing.
Usage usageOfIdle(const InstanceTerms& terms, Duration idle);

}  // namespace okibi::ledger
