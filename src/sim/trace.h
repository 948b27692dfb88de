#pragma once
// A workload read from a CSV trace. Rows in order of time are streamed; a file in another order is
// read whole and sorted (the one case where memory grows with requests, and the reason is the
// file).

#include <memory>
#include <optional>
#include <string>

#include "sim/distribution.h"
#include "sim/table_reader.h"
#include "sim/workload.h"

namespace okibi::sim {

// Which column holds what. An empty name: found by the usual titles ("arrival_s" or "minute",
// "function", "duration_s", "cold_s_assigned", "count"), or absent.
struct TraceColumns {
  // A title and the unit of its numbers in seconds.
  struct Column {
    std::string title;
    double unit = 1;
  };
  Column arrival, duration, cold;
  std::string function;  // absent: all requests are of one function
  std::string count;     // how many requests a row stands for; absent: 1

  // "arrival=time_ms@ms,function=app,duration=d": any of arrival, function, duration, cold, count;
  // '@' gives the unit (ns, us, ms, s, m, h; default s).
  static Result<TraceColumns> parse(std::string_view text);
};

struct TraceOptions {
  std::string path;
  TraceColumns columns;
  // Slices and weights by function, a CSV with a column "function" and any of
  // "gpu_mem_mib", "gpu_mem_mib_assigned" (MiB), "weight" (how many functions it stands for),
  // "okibi_weight" (its part when cards are short, 1–100). Empty: none.
  std::string functionsPath;
  std::optional<Duration> horizon;  // nullopt: the last arrival, rounded up to a minute
  // Drawn for rows without a duration, from `seed`.
  Distribution service;
  std::uint64_t seed = 1;
};

// Reads the file once, to know its functions, order and end.
Result<std::unique_ptr<Workload>> openTrace(const TraceOptions& options);

}  // namespace okibi::sim
