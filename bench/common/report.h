#pragma once
// Medians, 99th percentiles and ratios, as a Markdown table and as JSON.

#include <string>
#include <vector>

namespace okibi::bench {

struct Series {
  std::string name;
  std::vector<double> milliseconds;
  int errors = 0;
};

// Nearest rank; 0 for an empty list.
double percentile(std::vector<double> values, double fraction);
// Ratios are to the first series' median.
std::string toMarkdown(const std::vector<Series>& all);
std::string toJson(const std::vector<Series>& all);

}  // namespace okibi::bench
