// The management library as a program in the container sees it. Children do the asking: a process
// has one budget.

#include <filesystem>
#include <fstream>

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gpu_bypass/testing_instance.h"
#include "gpu_bypass/testing_paths.h"
#include "shim/cuda_abi.h"
#include "shim/front_writer.h"

namespace okibi::bypass {
namespace {

constexpr const char* kWorld = R"(driver 580.95.05
device
  uuid GPU-aaaa
  name Tesla T4
  total 16106127360
  reserved 471859200
  used 8589934592
  minor 0
device
  uuid GPU-bbbb
  name Tesla T4
  total 16106127360
  reserved 471859200
  used 0
  minor 1
)";

struct Seen {
  nvml::Memory memory[2];
  nvml::MemoryV2 memory2;
  int status[3];
};

void ask(const std::string& library, Seen& seen) {
  void* handle = dlopen(library.c_str(), RTLD_NOW);
  if (!handle) {
    fprintf(stderr, "%s\n", dlerror());
    _exit(1);
  }
  const auto function = [&](const char* name) { return dlsym(handle, name); };
  reinterpret_cast<int (*)()>(function("nvmlInit_v2"))();
  const auto byIndex =
      reinterpret_cast<int (*)(unsigned, nvml::Device*)>(function("nvmlDeviceGetHandleByIndex_v2"));
  const auto memory =
      reinterpret_cast<int (*)(nvml::Device, nvml::Memory*)>(function("nvmlDeviceGetMemoryInfo"));
  const auto memory2 = reinterpret_cast<int (*)(nvml::Device, nvml::MemoryV2*)>(
      function("nvmlDeviceGetMemoryInfo_v2"));
  nvml::Device device = nullptr;
  for (unsigned i = 0; i < 2; ++i) {
    byIndex(i, &device);
    seen.status[i] = memory(device, &seen.memory[i]);
  }
  byIndex(1, &device);
  seen.memory2.version = nvml::kMemoryV2;
  seen.status[2] = memory2(device, &seen.memory2);
}

class NvmlFrontTest : public testing::Test {
 protected:
  NvmlFrontTest() : instance_(64) {
    std::ofstream(instance_.folder() + "/world") << kWorld;
    shim::FrontPlan plan;
    plan.library = shim::Library::Nvml;
    plan.exports = *shim::readExports(kFakeNvml);
    plan.exports.soname = "libnvidia-ml.so.1";
    plan.shimPath = kShim;
    plan.realPath = kFakeNvml;
    plan.budgetPath = instance_.folder() + "/nvml-budget";
    std::ofstream(library(), std::ios::binary) << shim::buildFront(plan);
    budget_.emplace(*gpu::BudgetFile::create(
        plan.budgetPath, {.cards = {{Bytes::gib(2), "GPU-bbbb"}}, .perContext = Bytes(0)}));
  }

  std::string library() const { return instance_.folder() + "/libnvidia-ml.so.1"; }

  // In a child without this program's sanitizers in the way of its exit.
  Seen seen() {
    Seen answer{};
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
      setenv("OKIBI_FAKE_NVML", (instance_.folder() + "/world").c_str(), 1);
      ask(library(), answer);
      [[maybe_unused]] const ssize_t written = write(ends[1], &answer, sizeof answer);
      _exit(0);
    }
    close(ends[1]);
    EXPECT_EQ(read(ends[0], &answer, sizeof answer), static_cast<ssize_t>(sizeof answer));
    close(ends[0]);
    waitpid(child, nullptr, 0);
    return answer;
  }

  Instance instance_;
  std::optional<gpu::BudgetFile> budget_;
};

TEST_F(NvmlFrontTest, ShowsTheSliceOfTheCardThatWasGiven) {
  const Seen answer = seen();
  EXPECT_EQ(answer.status[1], 0);
  EXPECT_EQ(answer.memory[1].total, 2ull << 30);
  EXPECT_EQ(answer.memory[1].free, 2ull << 30);
  EXPECT_EQ(answer.memory[1].used, 0u);
  EXPECT_EQ(answer.status[2], 0);
  EXPECT_EQ(answer.memory2.total, 2ull << 30);
  EXPECT_EQ(answer.memory2.reserved, 0u);
}

TEST_F(NvmlFrontTest, ShowsNothingOfAnotherCard) {
  const Seen answer = seen();
  EXPECT_EQ(answer.memory[0].total, 0u);
  EXPECT_EQ(answer.memory[0].used, 0u);
}

TEST_F(NvmlFrontTest, RefusesWithoutABudget) {
  unlink((instance_.folder() + "/nvml-budget").c_str());
  const Seen answer = seen();
  EXPECT_EQ(answer.status[1], 4);
}

}  // namespace
}  // namespace okibi::bypass
