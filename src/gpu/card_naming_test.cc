#include "gpu/card_naming.h"

#include <gtest/gtest.h>

#include "gpu/process_cgroup.h"
#include "gpu/testing_driver.h"
#include "gpu/xid_policy.h"

namespace okibi::gpu {
namespace {

TEST(CardNaming, KnownProductsHaveFunctionComputesTypes) {
  const auto named = [](std::string_view name, std::int64_t gib) {
    return typeOf(name, Bytes::gib(gib), Whole::Card, {});
  };
  EXPECT_EQ(named("Tesla T4", 15), "fc.gpu.tesla.1");
  EXPECT_EQ(named("NVIDIA A10", 23), "fc.gpu.ampere.1");
  EXPECT_EQ(named("NVIDIA A100-SXM4-40GB", 40), "okibi.gpu.a100-sxm4-40gb");
  EXPECT_EQ(named("NVIDIA GeForce RTX 4090", 24), "fc.gpu.ada.2");
  EXPECT_EQ(named("NVIDIA GeForce RTX 4090 D", 24), "okibi.gpu.geforce-rtx-4090-d");
  EXPECT_EQ(named("NVIDIA GeForce RTX 4090 D", 48), "fc.gpu.ada.3");
  EXPECT_EQ(named("NVIDIA H20", 96), "fc.gpu.hopper.1");
  EXPECT_EQ(named("NVIDIA H20-3e", 141), "fc.gpu.hopper.2");
  EXPECT_EQ(named("NVIDIA H200", 140), "fc.gpu.hopper.2");
  EXPECT_EQ(named("NVIDIA H100 80GB HBM3", 80), "okibi.gpu.h100-80gb-hbm3");
}

TEST(CardNaming, APartitionIsNoWholeCard) {
  EXPECT_EQ(typeOf("NVIDIA H200 MIG 7g.141gb", Bytes::gib(140), Whole::Partition, {}),
            "okibi.gpu.h200-mig-7g.141gb");
}

TEST(CardNaming, OwnNamesAreOfFewCharacters) {
  EXPECT_EQ(ownTypeName("  Quadro / RTX (6000)  "), "okibi.gpu.quadro-rtx-6000");
  EXPECT_EQ(ownTypeName(""), "okibi.gpu.card");
  EXPECT_LE(ownTypeName(std::string(500, 'x')).size(), 96u);
}

TEST(CardNaming, RulesAreChecked) {
  EXPECT_TRUE(checkRules({{"*A30*", "fc.gpu.ampere.1", {}}, {"x", "okibi.gpu.a-1.b", {}}}));
  for (const char* type : {"", "g1", "fc.gpu.x", "okibi.gpu.", "okibi.gpu.A", "okibi.gpu.a b"}) {
    EXPECT_FALSE(checkRules({{"*", type, {}}})) << type;
  }
  EXPECT_FALSE(checkRules({{"", "okibi.gpu.a", {}}}));
}

TEST(CardNaming, Patterns) {
  EXPECT_TRUE(matches("*", ""));
  EXPECT_TRUE(matches("a*c*e", "abcde"));
  EXPECT_TRUE(matches("*T4", "tesla t4"));
  EXPECT_TRUE(matches("*ab", "aab"));
  EXPECT_FALSE(matches("*T4", "Tesla T40"));
  EXPECT_FALSE(matches("", "a"));
  EXPECT_FALSE(matches("a*b", "acbd"));
}

TEST(ProcessCgroup, TheUnifiedPathUnlessItIsTheRoot) {
  EXPECT_EQ(cgroupFrom("0::/okibi/a\n"), "/okibi/a");
  EXPECT_EQ(cgroupFrom("5:cpu,memory:/m\n0::/\n"), "/m");
  EXPECT_EQ(cgroupFrom("5:memory:/m\n0::/u\n"), "/u");
  EXPECT_EQ(cgroupFrom("0::/\n"), "/");
  EXPECT_EQ(cgroupFrom("nonsense\n"), "");
}

TEST(ProcessCgroup, TheUnifiedDirectoryWhereOneIsMountedWhole) {
  TestDirectory root;
  const auto directoryOf = [&](std::string_view cgroup, std::string_view mounts) {
    root.write("7/cgroup", cgroup);
    root.write("self/mountinfo", mounts);
    return unifiedDirectoryOf(root.path(), 7);
  };
  constexpr std::string_view kPure = "31 24 0:27 / /sys/fs/cgroup rw shared:9 - cgroup2 none rw\n";
  constexpr std::string_view kHybrid =
      "30 24 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
      "31 24 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
  EXPECT_EQ(directoryOf("0::/okibi/a\n", kPure), "/sys/fs/cgroup/okibi/a");
  EXPECT_EQ(directoryOf("5:memory:/m\n0::/a\n", kHybrid), "/sys/fs/cgroup/unified/a");
  EXPECT_EQ(directoryOf("0::/\n", kPure), "");
  EXPECT_EQ(directoryOf("5:memory:/m\n", kHybrid), "");
  EXPECT_EQ(directoryOf("0::/a\n", "31 24 0:27 /part /x rw - cgroup2 none rw\nodd\n"), "");
  EXPECT_EQ(unifiedDirectoryOf(root.path(), 8), "");
}

TEST(XidPolicy, TheTableIsInOrderAndSaysWhoseFaultItIs) {
  for (std::size_t i = 1; i < xidRules().size(); ++i) {
    EXPECT_LT(xidRules()[i - 1].code, xidRules()[i].code);
  }
  for (std::uint64_t xid : {13, 31, 43, 45}) {
    EXPECT_EQ(consequenceOf(xid), seams::Consequence::EndInstance) << xid;
  }
  for (std::uint64_t xid : {48, 63, 64, 74, 79, 94, 95, 119, 120}) {
    EXPECT_EQ(consequenceOf(xid), seams::Consequence::TakeCardOut) << xid;
  }
  EXPECT_EQ(consequenceOf(8), seams::Consequence::Report);
  EXPECT_EQ(describeXid(8), "Xid 8");
}

}  // namespace
}  // namespace okibi::gpu
