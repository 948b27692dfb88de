#include "bench/common/report.h"

#include <algorithm>
#include <cmath>

#include <boost/json.hpp>
#include <fmt/format.h>

namespace okibi::bench {

double percentile(std::vector<double> values, double fraction) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  double rank = std::ceil(fraction * static_cast<double>(values.size()));
  return values[static_cast<std::size_t>(std::max(rank, 1.0)) - 1];
}

std::string toMarkdown(const std::vector<Series>& all) {
  std::string out =
      "| how | p50 ms | p99 ms | best ms | p50 ratio | n | errors "
      "|\n|---|---|---|---|---|---|---|\n";
  double base = all.empty() ? 0 : percentile(all[0].milliseconds, 0.5);
  for (const Series& s : all) {
    double median = percentile(s.milliseconds, 0.5);
    out += fmt::format("| {} | {:.2f} | {:.2f} | {:.2f} | {:.2f} | {} | {} |\n", s.name, median,
                       percentile(s.milliseconds, 0.99), percentile(s.milliseconds, 0),
                       base > 0 ? median / base : 0, s.milliseconds.size(), s.errors);
  }
  return out;
}

std::string toJson(const std::vector<Series>& all) {
  boost::json::array rows;
  for (const Series& s : all) {
    rows.push_back(boost::json::object{{"name", s.name},
                                       {"p50Ms", percentile(s.milliseconds, 0.5)},
                                       {"p99Ms", percentile(s.milliseconds, 0.99)},
                                       {"bestMs", percentile(s.milliseconds, 0)},
                                       {"errors", s.errors},
                                       {"samplesMs", boost::json::value_from(s.milliseconds)}});
  }
  return boost::json::serialize(rows);
}

}  // namespace okibi::bench
