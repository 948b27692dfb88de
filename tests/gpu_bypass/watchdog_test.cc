// Routes that no library in the container can stop. Suite names as in bypass_test.cc.

#include <filesystem>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gpu_bypass/testing_watchdog.h"

namespace okibi::bypass {
namespace {

constexpr std::int64_t kLimitMb = 64;
const Bytes kSlice = Bytes::mib(kLimitMb);
// What the driver takes for a context, unasked: less here, hundreds of MiB on silicon.
Bytes allowance() {
  return onRealDriver() ? Bytes::gib(1) : Bytes::mib(16);
}

// The shim does not see it, the driver does.
void expectEnded(Instance& instance, Probe probe) {
  ASSERT_TRUE(probe.waitFor("blocks")) << probe.output();
  EXPECT_GT(probe.value("blocks"), 4);
  EXPECT_TRUE(watchUntilEnd(instance, probe, kSlice, allowance()));
  const int status = probe.finish();
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

TEST(Ended, privatePath) {
  Instance instance(kLimitMb);
  expectEnded(instance, instance.start({"dlsym:" + instance.privatePath(), "hold", "128"}));
  EXPECT_EQ(instance.budget().used(0).count(), 0);
}

TEST(Ended, ownDriverCopy) {
  Instance instance(kLimitMb);
  const std::string copy = instance.folder() + "/private/copy.so";
  std::filesystem::copy_file(std::filesystem::canonical(instance.privatePath()), copy);
  expectEnded(instance, instance.start({"dlsym:" + copy, "hold", "128"}));
}

TEST(Ended, forgedBudget) {
  Instance instance(kLimitMb);
  const int fd = open(instance.budgetPath().c_str(), O_RDWR | O_CLOEXEC);
  void* at = mmap(nullptr, sizeof(budget::File), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  ASSERT_NE(at, MAP_FAILED);
  auto* file = static_cast<budget::File*>(at);
  file->card[0].limit = budget::kMaxUnits;
  file->checksum = budget::checksumOf(*file);
  munmap(at, sizeof(budget::File));
  expectEnded(instance, instance.start({"dlsym", "hold", "128"}));
}

// A program within its slice is never ended.
TEST(Watchdog, LeavesTheHonestAlone) {
  Instance instance(kLimitMb);
  Probe probe = instance.start({"dlsym", "hold", "16"});
  ASSERT_TRUE(probe.waitFor("holding")) << probe.output();
  for (int sample = 0; sample < 3; ++sample) {
    const auto use = driverUse(instance, probe.pid());
    ASSERT_TRUE(use);
    EXPECT_LE(*use, kSlice + allowance());
    usleep(50'000);
  }
  EXPECT_EQ(probe.finish(), 0);
}

// What a context takes is charged by a constant only; what it takes beyond that is for the watchdog
// to see.
TEST(Documented, hiddenUsers) {
  Instance instance(kLimitMb, {"contextMb=20"});
  Probe probe = instance.start({"dlsym", "hold", "16"});
  ASSERT_TRUE(probe.waitFor("holding")) << probe.output();
  const auto use = driverUse(instance, probe.pid());
  ASSERT_TRUE(use);
  EXPECT_EQ(instance.usedMb(), 64);
  if (!onRealDriver())
    EXPECT_EQ(*use, Bytes::mib(84));
  else
    EXPECT_GT(*use, kSlice);
}

TEST(Documented, hostMemory) {
  Instance instance(kLimitMb);
  Probe probe = instance.start({"dlsym", "host", "128"});
  EXPECT_EQ(probe.finish(), 0);
  EXPECT_EQ(probe.value("status"), 0) << probe.output();
  EXPECT_EQ(instance.budget().used(0).count(), 0);
}

}  // namespace
}  // namespace okibi::bypass
