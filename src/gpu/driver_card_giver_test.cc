#include "gpu/driver_card_giver.h"

#include <gtest/gtest.h>

#include "gpu/budget_file.h"
#include "gpu/testing_driver.h"
#include "gpu/testing_edits.h"
#include "gpu/text_file.h"

namespace okibi::gpu {
namespace {

class GiverTest : public testing::Test {
 protected:
  // A machine whose driver's libraries are the fake ones.
  GiverTest() {
    root_.write("proc/driver/nvidia/version", "NVRM version: x  580.95.05  Release\n");
    root_.write("proc/driver/nvidia/params", "ModifyDeviceFiles: 1\n");
    const auto lib = root_.path() / "usr/lib64";
    std::filesystem::create_directories(lib);
    // Any library of this machine does: the fronts only need its names.
    for (const char* name : {"libcuda.so.580.95.05", "libnvidia-ml.so.580.95.05"}) {
      std::filesystem::copy_file(OKIBI_FAKE_NVML_LIBRARY, lib / name);
    }
    root_.write("shim.so", "elf");
    options_.directory = root_.path() / "state/gpu";
    options_.root = root_.path();
    options_.cdiDirectories = {root_.path() / "etc/cdi"};
    options_.shim = root_.path() / "shim.so";
    options_.perContext = Bytes::mib(256);
    facts_.card.id = CardId(1);
    facts_.card.uuid = "GPU-a";
    facts_.minorNumber = 0;
  }
  // The generator's paths are those of the machine, which the test's root is not.
  void describeHere() {
    const std::string lib = root_.path() / "usr/lib64";
    root_.write("etc/cdi/nvidia.yaml", fmt::format(R"(cdiVersion: 0.5.0
kind: nvidia.com/gpu
devices: [{{name: GPU-a, containerEdits: {{deviceNodes: [{{path: /dev/nvidia0}}]}}}}]
containerEdits:
  mounts:
    - {{hostPath: {0}/libcuda.so.580.95.05, containerPath: /usr/lib/libcuda.so.580.95.05}}
    - {{hostPath: {0}/libnvidia-ml.so.580.95.05, containerPath: /usr/lib/libnvidia-ml.so.580.95.05}}
)",
                                                   lib));
  }
  Result<seams::DeviceEdits> give(const GiverOptions& options) {
    auto giver = DriverCardGiver::create(options, {facts_});
    EXPECT_TRUE(giver);
    return giver->give(CardId(1), "c-1", Bytes::gib(2));
  }

  TestDirectory root_;
  GiverOptions options_;
  seams::CardFacts facts_;
};

TEST_F(GiverTest, AnInstanceGetsItsCardAndABudgetOfItsOwn) {
  describeHere();
  auto giver = DriverCardGiver::create(options_, {facts_});
  ASSERT_TRUE(giver) << giver.error().message;
  const auto edits = giver->give(CardId(1), "c-1", Bytes::gib(2));
  ASSERT_TRUE(edits) << edits.error().message;
  const std::string state = options_.directory;
  const std::string text = textOf(*edits);
  EXPECT_NE(text.find("mount /usr/local/nvidia/lib64/libcuda.so.580.95.05 <- " + state),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("mount-rw /usr/local/nvidia/okibi/budget <- " + state + "/budgets/c-1\n"),
            std::string::npos)
      << text;
  EXPECT_EQ(readText(options_.directory / "params"), "ModifyDeviceFiles: 0\n");
  EXPECT_EQ(readText(options_.directory / "libcuda.so.1")->substr(0, 4),
            "\x7f"
            "ELF");
  const auto budget = BudgetFile::open(options_.directory / "budgets/c-1");
  ASSERT_TRUE(budget);
  EXPECT_EQ(budget->cards(), 1u);
  EXPECT_EQ(budget->limit(0), Bytes::gib(2));
  EXPECT_FALSE(giver->give(CardId(2), "c-2", Bytes::gib(2)));
  giver->takeBack("c-1");
  giver->takeBack("c-1");
  EXPECT_FALSE(std::filesystem::exists(options_.directory / "budgets/c-1"));
}

TEST_F(GiverTest, TheContainerSeesOfTheDriversCardsOnlyItsOwn) {
  describeHere();
  facts_.pciAddress = "0000:17:00.0";
  root_.write("proc/driver/nvidia/gpus/0000:17:00.0/information", "Model: T4\n");
  root_.write("proc/driver/nvidia/gpus/0000:ca:00.0/information", "Model: other\n");
  const auto edits = give(options_);
  ASSERT_TRUE(edits) << edits.error().message;
  const std::filesystem::path cards = options_.directory / "proc/GPU-a";
  EXPECT_NE(textOf(*edits).find("mount /proc/driver/nvidia/gpus <- " + cards.string()),
            std::string::npos);
  EXPECT_EQ(readText(cards / "0000:17:00.0/information"), "Model: T4\n");
  EXPECT_FALSE(std::filesystem::exists(cards / "0000:ca:00.0"));
}

TEST_F(GiverTest, WithoutTheShimOnlyWhenSaidSo) {
  describeHere();
  std::filesystem::remove(root_.path() / "shim.so");
  const auto refused = give(options_);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("shim.so is not there"), std::string::npos);
  options_.shim.reset();
  const auto plain = give(options_);
  ASSERT_TRUE(plain);
  EXPECT_EQ(textOf(*plain).find("okibi/"), std::string::npos) << textOf(*plain);
}

TEST_F(GiverTest, ACardThatNobodyDescribesIsRefusedWithBothReasons) {
  std::filesystem::remove(root_.path() / "proc/driver/nvidia/version");
  const auto refused = give(options_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "no CDI file describes it, and: no NVIDIA driver is loaded");
}

}  // namespace
}  // namespace okibi::gpu
