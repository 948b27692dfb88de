#pragma once
// What was simulated, side by side: as text, JSON and a self-contained HTML page with charts.

#include <string>
#include <vector>

#include "ledger/price_book.h"
#include "sim/tally.h"
#include "sim/workload.h"

namespace okibi::sim {

// Prices of what the price book does not bill: GPU memory that is held idle, and host memory of
// parked instances, per GB and second.
struct SimPrices {
  ledger::PriceBook book;
  ledger::UnitPrice idleGbSecond, parkedGbSecond;
};

struct Run {
  std::string policy;
  Tally tally;
};

struct Report {
  std::string workload;  // file or seed
  std::string protocol;
  Duration horizon{};
  std::vector<double> weights;         // by function
  std::vector<std::string> functions;  // their names
  SimPrices prices;
  std::vector<Run> runs;
};

struct Cost {
  Money active, idle, parked;
  Money total() const { return active + idle + parked; }
};
Cost costOf(const Tally& tally, const SimPrices& prices);

std::string toText(const Report& report);
std::string toJson(const Report& report);  // one object, ends with a line end
std::string toHtml(const Report& report);

}  // namespace okibi::sim
