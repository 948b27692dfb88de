// Every scenario file is played; what a file may not say is named with its line.

#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "sim/scenario.h"

namespace okibi::sim {
namespace {

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

std::string contents(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(ScenarioFiles, AllPass) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(OKIBI_SCENARIOS)) {
    if (entry.path().extension() != ".scenario") continue;
    ++files;
    SCOPED_TRACE(entry.path().filename().string());
    const Result<Scenario> scenario = Scenario::parse(contents(entry.path()));
    ASSERT_TRUE(scenario) << scenario.error().message;
    const ScenarioResult result = play(*scenario);
    EXPECT_EQ(joined(result.failures), "");
    EXPECT_GT(result.served, 0);
  }
  EXPECT_GE(files, 12);
}

// An expectation that is not met must be noticed, with its line and both values.
TEST(ScenarioFiles, WhatIsNotMetIsNamed) {
  const Result<Scenario> scenario = Scenario::parse(
      "start = 2s\nfunction f idle=5s\nat 0s arrive f x2\nat 1s expect f instances = 1\n"
      "expect f cold = 1\nexpect f wait-max <= 1s\nexpect f refusal too late\n");
  ASSERT_TRUE(scenario) << scenario.error().message;
  EXPECT_EQ(joined(play(*scenario).failures),
            "line 4: f instances is 2, not = 1\n"
            "line 5: f cold is 2, not = 1\n"
            "line 6: f wait-max is 2, not <= 1s\n"
            "line 7: f: no refusal says 'too late'\n");
}

TEST(ScenarioFiles, BadLinesAreNamed) {
  const auto fault = [](const std::string& line) {
    const Result<Scenario> scenario =
        Scenario::parse("card = 1 x T x 16G\nfunction f\n" + line + "\nexpect f served = 0\n");
    return scenario ? std::string("none") : scenario.error().message;
  };
  EXPECT_EQ(fault("hello"),
            "line 3: 'hello' is not a setting, policy, function, at TIME or expect");
  EXPECT_EQ(fault("wings = 2"),
            "line 3: 'wings' is not card, host_memory, cold_start, park, wake or stop");
  EXPECT_EQ(fault("policy turns=-1"), "line 3: turns: value: -1 is outside 0 to 1000000");
  EXPECT_EQ(fault("policy luck=1"), "line 3: luck: there is no such policy");
  EXPECT_EQ(fault("function f"), "line 3: function 'f' is there already");
  EXPECT_EQ(fault("function g conc=201"), "line 3: conc: 201 is outside 1 to 200");
  EXPECT_EQ(fault("at 1s arrive g"), "line 3: there is no function 'g'");
  EXPECT_EQ(fault("at soon arrive f"),
            "line 3: 'soon' is not a time from 0 to 10 years, as 250ms, 60s, 10m, 2h, 14d");
  EXPECT_EQ(fault("at 1s arrive f 3"), "line 3: '3' is not xN");
  EXPECT_EQ(fault("at 1s arrive f x3 size=1"),
            "line 3: size: arrivals have every, deadline, service");
  EXPECT_EQ(fault("at 1s lose 2"), "line 3: card 2 is outside 1 to 1");
  EXPECT_EQ(fault("at 1s quota a luck=1"), "line 3: luck: no such quota");
  EXPECT_EQ(fault("expect f luck = 1"), "line 3: 'luck' cannot be expected at the end");
  EXPECT_EQ(fault("expect f queued = 1"), "line 3: 'queued' cannot be expected at the end");
  EXPECT_EQ(fault("expect f cold ~ 1"), "line 3: '~' is not =, <= or >=");
  EXPECT_EQ(Scenario::parse("function f\n").error().message, "nothing is expected");
}

}  // namespace
}  // namespace okibi::sim
