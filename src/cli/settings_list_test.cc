#include "cli/settings_list.h"

#include <gtest/gtest.h>

namespace okibi::cli {
namespace {

sim::Recording onOneCard() {
  sim::Recording recording;
  recording.terms.gpuType = "fc.gpu.tesla.1";
  recording.cards = {Bytes::gib(16)};
  recording.mostInstances = 30;
  return recording;
}

const sim::WhatIfSetting kNow{.concurrency = 3, .idle = 300s, .slice = Bytes::gib(2), .minimum = 1};

std::string errorOf(const char* concurrency, const char* idle, const char* slice,
                    const char* minimum) {
  const auto lists = readSettingsLists(concurrency, idle, slice, minimum);
  if (!lists) return lists.error().message;
  const auto settings = settingsOf(*lists, kNow, onOneCard());
  return settings ? "" : settings.error().message;
}

TEST(SettingsList, IsTheCrossProductAndWhatIsNotSaidStaysAsItIs) {
  const auto lists = readSettingsLists("1,2,4", "60, 5m", "4,8G", "");
  ASSERT_TRUE(lists) << lists.error().message;
  const auto settings = settingsOf(*lists, kNow, onOneCard());
  ASSERT_TRUE(settings);
  ASSERT_EQ(settings->size(), 12u);
  EXPECT_EQ(settings->front().concurrency, 1);
  EXPECT_EQ(settings->front().slice, Bytes::gib(4));
  EXPECT_EQ(settings->front().minimum, 1);
  EXPECT_EQ(settings->back().idle, 300s);
  EXPECT_EQ(settings->back().slice, Bytes::gib(8));
  const auto current = settingsOf(*readSettingsLists("", "", "", ""), kNow, onOneCard());
  ASSERT_EQ(current->size(), 1u);
  EXPECT_EQ(current->front().concurrency, 3);
}

TEST(SettingsList, ARepeatedItemIsTriedOnce) {
  EXPECT_EQ(readSettingsLists("2,2,1", "", "", "")->concurrency, (std::vector<int>{2, 1}));
}

TEST(SettingsList, ErrorsNameOptionItemAndRange) {
  EXPECT_EQ(errorOf("0,a", "", "", ""), "--concurrency: '0' is not a whole number in 1–200");
  EXPECT_EQ(errorOf("1,a", "", "", ""), "--concurrency: 'a' is not a whole number in 1–200");
  EXPECT_EQ(errorOf("1,,2", "", "", ""), "--concurrency: '' is not a whole number in 1–200");
  EXPECT_EQ(errorOf("", "60,3601", "", ""),
            "--idle: '3601' is not a whole number of seconds in 1–3600");
  EXPECT_EQ(errorOf("", "", "1.5", ""), "--slice: '1.5' is not a whole number of GB in 1–1024");
  EXPECT_EQ(errorOf("", "", "4,32", ""),
            "--slice: 32 GB is not in 1–16, the memory of a card of fc.gpu.tesla.1");
  EXPECT_EQ(errorOf("", "", "", "-1"), "--min: '-1' is not a whole number in 0–10000");
  EXPECT_EQ(errorOf("", "", "", "31"),
            "--min: 31 is not in 0–30, the instances that quota and cap allow");
}

TEST(SettingsList, IsBounded) {
  std::string many;
  for (int i = 1; i <= 67; ++i) many += std::to_string(i) + ",";
  many.pop_back();
  EXPECT_EQ(errorOf(many.c_str(), "60,61,62", "", ""),
            "201 settings are asked for; at most 200 are tried");
}

TEST(SettingsList, ASliceNeedsACard) {
  sim::Recording cpu;
  cpu.mostInstances = 300;
  const auto settings = settingsOf(*readSettingsLists("", "", "4", ""), kNow, cpu);
  EXPECT_EQ(settings.error().message, "--slice: the function has no gpuConfig");
}

}  // namespace
}  // namespace okibi::cli
