#include "gpu_bypass/testing_watchdog.h"

#include <fstream>

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conductor/gpu_watchdog.h"
#include "fake_driver/cuda/machine.h"
#include "gpu/nvml_inventory.h"

namespace okibi::bypass {
namespace {

constexpr useconds_t kSamplePause = 250'000;
const std::string kGroup = "/probe";

std::optional<Bytes> fakeUse(const std::string& machineFile, pid_t pid) {
  static fake::MachineState state;
  std::ifstream file(machineFile, std::ios::binary);
  if (!file.read(reinterpret_cast<char*>(&state), sizeof state)) return std::nullopt;
  for (const fake::ProcessState& process : state.processes) {
    if (process.pid != pid) continue;
    std::uint64_t sum = 0;
    for (const std::uint64_t used : process.used) sum += used;
    return Bytes(static_cast<std::int64_t>(sum));
  }
  return std::nullopt;
}

std::optional<Bytes> realUse(pid_t pid) {
  static const auto inventory = gpu::NvmlInventory::open({});
  if (!inventory) return std::nullopt;
  const auto use = (*inventory)->use();
  if (!use) return std::nullopt;
  std::optional<Bytes> sum;
  for (const auto& process : use->processes) {
    if (process.pid == pid) sum = sum.value_or(Bytes(0)) + process.memory.value_or(Bytes(0));
  }
  return sum;
}

}  // namespace

std::optional<Bytes> driverUse(const Instance& instance, pid_t pid) {
  return onRealDriver() ? realUse(pid) : fakeUse(instance.folder() + "/private/machine/state", pid);
}

bool watchUntilEnd(const Instance& instance, Probe& probe, Bytes slice, Bytes allowance) {
  conductor::GpuWatchdog watchdog(allowance);
  const std::vector<conductor::SliceHolder> holders{{InstanceId(1), slice, kGroup}};
  for (;;) {
    siginfo_t ended{};
    if (waitid(P_PID, static_cast<id_t>(probe.pid()), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        ended.si_pid)
      return false;
    seams::GpuUse use;
    use.processes.push_back({CardId(1), probe.pid(), kGroup, driverUse(instance, probe.pid())});
    if (!watchdog.sample(use, holders).empty()) break;
    usleep(kSamplePause);
  }
  probe.kill(SIGKILL);
  return true;
}

}  // namespace okibi::bypass
