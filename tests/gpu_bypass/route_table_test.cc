// docs/gpu_isolation.md says of each route what becomes of it; the tests prove it. Neither may say
// more than the other.

#include <fstream>
#include <map>
#include <regex>

#include <gtest/gtest.h>

#include "gpu_bypass/testing_paths.h"

namespace okibi::bypass {
namespace {

std::map<std::string, std::string> documented() {
  std::map<std::string, std::string> routes;
  std::ifstream file(kIsolationDocument);
  const std::regex row(R"(\| `(\w+)` \| (stopped|ended|documented) \|.*)");
  std::smatch match;
  for (std::string line; std::getline(file, line);) {
    if (std::regex_match(line, match, row)) routes[match[1]] = match[2];
  }
  return routes;
}

std::map<std::string, std::string> tested() {
  std::map<std::string, std::string> routes;
  const auto& all = *testing::UnitTest::GetInstance();
  for (int i = 0; i < all.total_test_suite_count(); ++i) {
    const testing::TestSuite& suite = *all.GetTestSuite(i);
    const std::string name = suite.name();
    if (name.ends_with("/AllocationCalls")) routes["allocationCalls"] = "stopped";
    const std::map<std::string, std::string> outcomes = {
        {"Stopped", "stopped"}, {"Ended", "ended"}, {"Documented", "documented"}};
    if (!outcomes.contains(name)) continue;
    for (int k = 0; k < suite.total_test_count(); ++k)
      routes[suite.GetTestInfo(k)->name()] = outcomes.at(name);
  }
  return routes;
}

TEST(RouteTable, IsWhatIsTested) {
  EXPECT_EQ(documented(), tested());
  EXPECT_GE(tested().size(), 15u);
}

}  // namespace
}  // namespace okibi::bypass
