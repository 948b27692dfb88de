// The fake driver is held to the driver's public behaviour where other tests lean on it: faults of
// unmapped memory, and checkpointing with its states and failures.

#include <filesystem>
#include <fstream>

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake_driver/cuda/machine.h"
#include "gpu_bypass/testing_instance.h"
#include "gpu_bypass/testing_watchdog.h"
#include "shim/cuda_abi.h"

namespace okibi::bypass {
namespace {

// Drives another process's checkpoint, from a process with the driver opened directly, as the
// node's helper does. One machine for all tests: the driver, once loaded, belongs to it.
class CheckpointTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (onRealDriver()) return;
    shared_ = new Instance(64, {"forkWorks=1"});
    library_ = dlopen(shared_->privatePath().c_str(), RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(library_, nullptr) << dlerror();
    call("cuInit", 0u);
  }
  static void TearDownTestSuite() {
    delete shared_;
    shared_ = nullptr;
  }
  void SetUp() override {
    if (onRealDriver()) GTEST_SKIP() << "these faults are the fake driver's";
    const std::filesystem::path faults = shared_->folder() + "/private/machine/faults";
    std::filesystem::remove_all(faults);
    std::filesystem::create_directory(faults);
  }

  template <class... A>
  static int call(const char* name, A... arguments) {
    return reinterpret_cast<int (*)(A...)>(dlsym(library_, name))(arguments...);
  }

  Probe target(const char* action = "hold", const char* argument = "16") {
    Probe probe = instance_.start({"dlsym", action, argument});
    EXPECT_TRUE(probe.waitFor("blocks")) << probe.output();
    return probe;
  }

  int lock(pid_t pid, unsigned timeoutMs = 30'000) {
    cuda::LockArgs args{};
    args.timeoutMs = timeoutMs;
    return call("cuCheckpointProcessLock", pid, &args);
  }
  int step(const char* name, pid_t pid) {
    return call(name, pid, static_cast<cuda::CheckpointArgs*>(nullptr));
  }
  int checkpoint(pid_t pid) { return step("cuCheckpointProcessCheckpoint", pid); }
  int restore(pid_t pid) { return step("cuCheckpointProcessRestore", pid); }
  int unlock(pid_t pid) { return step("cuCheckpointProcessUnlock", pid); }
  int state(pid_t pid) {
    int state = -1;
    const int status = call("cuCheckpointProcessGetState", pid, &state);
    return status == cuda::kSuccess ? state : -status;
  }

  void inject(const std::string& call, const std::string& fault) {
    std::ofstream(instance_.folder() + "/private/machine/faults/" + call) << fault << "\n";
  }

  Instance& instance_ = *shared_;

 private:
  static inline Instance* shared_ = nullptr;
  static inline void* library_ = nullptr;
};

TEST_F(CheckpointTest, TakesAProcessOffTheCardAndBack) {
  Probe probe = target();
  const pid_t pid = probe.pid();
  EXPECT_EQ(state(pid), cuda::kStateRunning);
  const Bytes before = *driverUse(instance_, pid);
  EXPECT_EQ(checkpoint(pid), cuda::kIllegalState);
  EXPECT_EQ(lock(pid), cuda::kSuccess);
  EXPECT_EQ(state(pid), cuda::kStateLocked);
  EXPECT_EQ(checkpoint(pid), cuda::kSuccess);
  EXPECT_EQ(state(pid), cuda::kStateCheckpointed);
  EXPECT_EQ(driverUse(instance_, pid)->count(), 0);
  EXPECT_EQ(restore(pid), cuda::kSuccess);
  EXPECT_EQ(state(pid), cuda::kStateLocked);
  EXPECT_EQ(*driverUse(instance_, pid), before);
  EXPECT_EQ(unlock(pid), cuda::kSuccess);
  EXPECT_EQ(state(pid), cuda::kStateRunning);
  EXPECT_EQ(probe.finish(), 0);
  EXPECT_EQ(state(pid), -cuda::kNotInitialized);
}

// The charge in the budget stays: parking frees the card, and the planner decides about the slice.
TEST_F(CheckpointTest, TheBudgetIsNotTheDrivers) {
  Probe probe = target();
  lock(probe.pid());
  checkpoint(probe.pid());
  EXPECT_EQ(instance_.usedMb(), 64);
}

TEST_F(CheckpointTest, AProcessWithoutCudaIsNone) {
  EXPECT_EQ(lock(getppid()), cuda::kNotInitialized);
}

TEST_F(CheckpointTest, ALockRunsOutOfTimeAndChangesNothing) {
  Probe probe = target();
  inject("lock", "timeout");
  EXPECT_EQ(lock(probe.pid(), 100), cuda::kNotReady);
  EXPECT_EQ(state(probe.pid()), cuda::kStateRunning);
}

TEST_F(CheckpointTest, ManagedMemoryIsNotSupported) {
  Probe probe = instance_.start({"dlsym", "path", "managed", "16"});
  ASSERT_TRUE(probe.waitFor("freed"));
  EXPECT_EQ(lock(probe.pid()), cuda::kSuccess);
  EXPECT_EQ(checkpoint(probe.pid()), cuda::kNotSupported);
  EXPECT_EQ(state(probe.pid()), cuda::kStateFailed);
}

TEST_F(CheckpointTest, InjectedFailuresAreFinal) {
  Probe probe = target();
  inject("checkpoint", "fail=999");
  lock(probe.pid());
  EXPECT_EQ(checkpoint(probe.pid()), 999);
  EXPECT_EQ(state(probe.pid()), cuda::kStateFailed);
  EXPECT_EQ(unlock(probe.pid()), cuda::kIllegalState);
}

TEST_F(CheckpointTest, ACrashTakesTheTarget) {
  Probe probe = target();
  inject("lock", "crash");
  EXPECT_EQ(lock(probe.pid()), cuda::kOperatingSystem);
  const int status = probe.finish();
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

// A public report of driver 580: a restore that finds the card too full is the end of that process.
TEST_F(CheckpointTest, ARestoreThatDoesNotFitLosesTheProcess) {
  Probe probe = target();
  lock(probe.pid());
  checkpoint(probe.pid());
  Probe other(instance_.start({"dlsym:" + instance_.privatePath(), "hold", "64"}));
  ASSERT_TRUE(other.waitFor("holding"));
  EXPECT_EQ(restore(probe.pid()), cuda::kOutOfMemory);
  other.kill(SIGKILL);
  other.finish();
  EXPECT_EQ(restore(probe.pid()), cuda::kOperatingSystem);
  EXPECT_EQ(unlock(probe.pid()), cuda::kIllegalState);
}

// The driver works through a thread of the target: who stops the target stops the driver.
TEST_F(CheckpointTest, AStoppedTargetKeepsTheCallerWaiting) {
  Probe probe = target();
  probe.kill(SIGSTOP);
  siginfo_t stopped{};
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(probe.pid()), &stopped, WSTOPPED | WNOWAIT), 0);
  const pid_t helper = fork();
  if (helper == 0) _exit(lock(probe.pid()) == cuda::kSuccess ? 0 : 1);
  usleep(100'000);
  int status = 0;
  EXPECT_EQ(waitpid(helper, &status, WNOHANG), 0);
  probe.kill(SIGCONT);
  waitpid(helper, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(CheckpointTest, CallsOfALockedProcessWait) {
  Probe probe = instance_.start({"dlsym", "churn", "1000000"});
  // It cannot be locked before it has a context.
  int locked = lock(probe.pid(), 1000);
  for (int i = 0; i < 30'000 && locked != cuda::kSuccess; ++i) {
    usleep(1000);
    locked = lock(probe.pid(), 1000);
  }
  EXPECT_EQ(locked, cuda::kSuccess);
  EXPECT_TRUE(probe.isSilentFor(std::chrono::milliseconds(100)));
  EXPECT_EQ(unlock(probe.pid()), cuda::kSuccess);
  EXPECT_TRUE(probe.waitFor("rounds")) << probe.output();
}

// Touching unmapped virtual memory is what it would be on a card: the end.
TEST_F(CheckpointTest, UnmappedMemoryFaults) {
  for (const bool unmapped : {false, true}) {
    const pid_t child = fork();
    if (child == 0) {
      signal(SIGSEGV, SIG_DFL);
      call("cuInit", 0u);
      const cuda::AllocationProp prop{
          cuda::kAllocationPinned, 0, {cuda::kLocationDevice, 0}, nullptr, {}};
      const cuda::AccessDesc access{prop.location, 3};
      cuda::MemHandle handle = 0;
      cuda::DevicePtr pointer = 0;
      const std::size_t bytes = 2 << 20;
      call("cuMemCreate", &handle, bytes, &prop, 0ull);
      call("cuMemAddressReserve", &pointer, bytes, std::size_t{0}, cuda::DevicePtr{0}, 0ull);
      call("cuMemMap", pointer, bytes, std::size_t{0}, handle, 0ull);
      call("cuMemSetAccess", pointer, bytes, &access, std::size_t{1});
      if (unmapped) call("cuMemUnmap", pointer, bytes);
      *reinterpret_cast<volatile int*>(pointer) = 1;
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_EQ(status == 0, !unmapped);
  }
}

}  // namespace
}  // namespace okibi::bypass
