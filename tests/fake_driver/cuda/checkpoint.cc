// Checkpointing another process, with the answers of driver 580 as public reports describe them,
// and faults on demand: a file `machine/faults/NAME` (lock, checkpoint, restore, unlock) holds one
// of
//   timeout     the call waits out its timeout and answers 600, the state stays
//   fail=CODE   answers CODE; for checkpoint and restore the process is FAILED, as the real one
//   does not keep it good crash       the target dies by SIGSEGV hang=MS     the call takes so
//   long, then goes on

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

#include <signal.h>
#include <unistd.h>

#include "fake_driver/cuda/driver.h"

namespace okibi::fake {
namespace {

using cuda::Status;

std::string injected(const std::string& call) {
  std::ifstream file(machineFolder() + "/faults/" + call);
  std::string text;
  std::getline(file, text);
  return text;
}

void setState(ProcessState& process, int state) {
  __atomic_store_n(&process.checkpoint, state, __ATOMIC_RELEASE);
}

// The driver works through a thread inside the target: a stopped or frozen target keeps the caller
// waiting.
bool isHeld(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(file, text);
  const std::size_t end = text.rfind(')');
  if (end != std::string::npos && end + 2 < text.size() &&
      (text[end + 2] == 'T' || text[end + 2] == 't'))
    return true;
  std::ifstream cgroups("/proc/" + std::to_string(pid) + "/cgroup");
  for (std::string line; std::getline(cgroups, line);) {
    if (!line.starts_with("0::")) continue;
    for (const char* root : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
      std::ifstream events(root + line.substr(3) + "/cgroup.events");
      const std::string all(std::istreambuf_iterator<char>(events), {});
      if (all.find("frozen 1") != std::string::npos) return true;
    }
  }
  return false;
}

// The target, able to take part, or why not.
Status findTarget(const char* call, pid_t pid, ProcessState** out) {
  *out = processOf(pid);
  if (!*out) return cuda::kNotInitialized;
  while (isHeld(pid)) usleep(1000);
  const std::string fault = injected(call);
  if (fault.starts_with("hang="))
    usleep(static_cast<useconds_t>(std::atoi(fault.c_str() + 5)) * 1000);
  if (fault == "crash") {
    kill(pid, SIGSEGV);
    return cuda::kOperatingSystem;
  }
  return cuda::kSuccess;
}

int failureOf(const char* call) {
  const std::string fault = injected(call);
  return fault.starts_with("fail=") ? std::atoi(fault.c_str() + 5) : 0;
}

// Until the target's work is done. False when the time is up.
bool waitIdle(const ProcessState& process, unsigned timeoutMs) {
  const std::int64_t until = timeoutMs ? nowNs() + timeoutMs * 1'000'000LL : INT64_MAX;
  while (__atomic_load_n(&process.busyUntilNs, __ATOMIC_ACQUIRE) > nowNs()) {
    if (nowNs() >= until) return false;
    usleep(1000);
  }
  return true;
}

Status takeOff(ProcessState& process) {
  const MachineLock lock;
  for (int card = 0; card < kMaxCards; ++card) {
    machine().used[card] -= process.used[card];
    process.parked[card] = process.used[card];
    process.used[card] = 0;
  }
  setState(process, cuda::kStateCheckpointed);
  return cuda::kSuccess;
}

Status putBack(ProcessState& process) {
  const MachineLock lock;
  for (int card = 0; card < kMaxCards; ++card) {
    if (machine().used[card] + process.parked[card] > settings().memoryBytes)
      return cuda::kOutOfMemory;
  }
  for (int card = 0; card < kMaxCards; ++card) {
    machine().used[card] += process.parked[card];
    process.used[card] = process.parked[card];
    process.parked[card] = 0;
  }
  setState(process, cuda::kStateLocked);
  return cuda::kSuccess;
}

}  // namespace

OKIBI_FAKE cuCheckpointProcessGetState(int pid, int* state) {
  const ProcessState* process = processOf(pid);
  if (!process) return cuda::kNotInitialized;
  *state = process->checkpoint;
  return cuda::kSuccess;
}

OKIBI_FAKE cuCheckpointProcessGetRestoreThreadId(int pid, int* tid) {
  if (!processOf(pid)) return cuda::kNotInitialized;
  *tid = pid;
  return cuda::kSuccess;
}

OKIBI_FAKE cuCheckpointProcessLock(int pid, cuda::LockArgs* args) {
  ProcessState* process = nullptr;
  if (const Status refused = findTarget("lock", pid, &process)) return refused;
  if (process->checkpoint != cuda::kStateRunning) return cuda::kIllegalState;
  const unsigned timeoutMs = args ? args->timeoutMs : 0;
  if (injected("lock") == "timeout") {
    usleep(timeoutMs * 1000);
    return cuda::kNotReady;
  }
  if (const int failure = failureOf("lock")) return failure;
  if (!waitIdle(*process, timeoutMs)) return cuda::kNotReady;
  setState(*process, cuda::kStateLocked);
  return cuda::kSuccess;
}

OKIBI_FAKE cuCheckpointProcessCheckpoint(int pid, cuda::CheckpointArgs*) {
  ProcessState* process = nullptr;
  if (const Status refused = findTarget("checkpoint", pid, &process)) return refused;
  if (process->checkpoint != cuda::kStateLocked) return cuda::kIllegalState;
  const int failure = process->managed ? cuda::kNotSupported : failureOf("checkpoint");
  if (!failure) return takeOff(*process);
  setState(*process, cuda::kStateFailed);
  return failure;
}

OKIBI_FAKE cuCheckpointProcessRestore(int pid, cuda::RestoreArgs*) {
  ProcessState* process = nullptr;
  if (const Status refused = findTarget("restore", pid, &process)) return refused;
  if (process->checkpoint != cuda::kStateCheckpointed) return cuda::kIllegalState;
  if (process->lost) return cuda::kOperatingSystem;
  if (const int failure = failureOf("restore")) {
    setState(*process, cuda::kStateFailed);
    return failure;
  }
  const Status status = putBack(*process);
  if (status == cuda::kOutOfMemory) process->lost = 1;
  return status;
}

OKIBI_FAKE cuCheckpointProcessUnlock(int pid, cuda::CheckpointArgs*) {
  ProcessState* process = nullptr;
  if (const Status refused = findTarget("unlock", pid, &process)) return refused;
  if (process->checkpoint != cuda::kStateLocked) return cuda::kIllegalState;
  if (const int failure = failureOf("unlock")) return failure;
  setState(*process, cuda::kStateRunning);
  return cuda::kSuccess;
}

}  // namespace okibi::fake
