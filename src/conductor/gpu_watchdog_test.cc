#include "conductor/gpu_watchdog.h"

#include <gtest/gtest.h>

namespace okibi::conductor {
namespace {

const std::vector<SliceHolder> kHolders{{InstanceId(1), Bytes::gib(4), "/okibi/r/s-1"},
                                        {InstanceId(2), Bytes::gib(2), "/okibi/r/s-2"},
                                        {InstanceId(3), Bytes::gib(1), ""}};

seams::ProcessUse process(std::string cgroup, std::optional<Bytes> memory, std::uint64_t card = 1) {
  return {CardId(card), 100, std::move(cgroup), memory};
}

seams::GpuUse use(std::vector<seams::ProcessUse> processes) {
  seams::GpuUse made;
  made.processes = std::move(processes);
  return made;
}

TEST(GpuWatchdog, TwoSamplesOverEndAnInstance) {
  GpuWatchdog watchdog(Bytes::mib(512));
  const auto over =
      use({process("/okibi/r/s-1", Bytes::gib(3)), process("/okibi/r/s-1/inner", Bytes::gib(2)),
           process("/okibi/r/s-2", Bytes::gib(2))});
  EXPECT_TRUE(watchdog.sample(over, kHolders).empty());
  const auto found = watchdog.sample(over, kHolders);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].instance, InstanceId(1));
  EXPECT_EQ(found[0].used, Bytes::gib(5));
  EXPECT_EQ(found[0].allowed, Bytes::mib(4608));
}

TEST(GpuWatchdog, OneSampleOverIsForgiven) {
  GpuWatchdog watchdog(Bytes::mib(512));
  const auto over = use({process("/okibi/r/s-1", Bytes::gib(5))});
  const auto within = use({process("/okibi/r/s-1", Bytes::mib(4608))});
  for (const auto& sample : {over, within, over, within}) {
    EXPECT_TRUE(watchdog.sample(sample, kHolders).empty());
  }
}

TEST(GpuWatchdog, OthersAndUnknownsAreNobodys) {
  GpuWatchdog watchdog{Bytes()};
  const auto others =
      use({process("/okibi/r/s-11", Bytes::gib(50)), process("", Bytes::gib(50)),
           process("/user.slice", Bytes::gib(50)), process("/okibi/r/s-1", std::nullopt)});
  EXPECT_TRUE(watchdog.sample(others, kHolders).empty());
  EXPECT_TRUE(watchdog.sample(others, kHolders).empty());
}

TEST(GpuWatchdog, WhatItHoldsOnAForeignCardCountsToo) {
  GpuWatchdog watchdog{Bytes()};
  const auto spread =
      use({process("/okibi/r/s-2", Bytes::gib(2), 1), process("/okibi/r/s-2", Bytes::mib(1), 2)});
  EXPECT_TRUE(watchdog.sample(spread, kHolders).empty());
  EXPECT_EQ(watchdog.sample(spread, kHolders).size(), 1u);
}

}  // namespace
}  // namespace okibi::conductor
