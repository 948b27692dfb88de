#pragma once
// The driver's checkpoint calls on another process, timed.

#include <chrono>
#include <string>

#include "bench/gpu/driver.h"
#include "bench/gpu/target.h"

namespace okibi::gpubench {

struct Step {
  int status = 0;
  double seconds = 0;
  std::string text() const {
    char time[32];
    std::snprintf(time, sizeof time, "%.3f s", seconds);
    return status == 0 ? time : errorName(status);
  }
};

// "lock", "checkpoint", "restore" or "unlock". Structures are zeroed as a whole: their insides
// differ between drivers.
inline Step checkpointStep(const std::string& action, pid_t pid, unsigned timeoutMs = 10'000) {
  cuda::LockArgs lock{};
  lock.timeoutMs = timeoutMs;
  cuda::CheckpointArgs plain{};
  cuda::RestoreArgs restore{};
  const auto start = std::chrono::steady_clock::now();
  Step step;
  if (action == "lock")
    step.status = call("cuCheckpointProcessLock", static_cast<int>(pid), &lock);
  else if (action == "checkpoint")
    step.status = call("cuCheckpointProcessCheckpoint", static_cast<int>(pid), &plain);
  else if (action == "restore")
    step.status = call("cuCheckpointProcessRestore", static_cast<int>(pid), &restore);
  else
    step.status = call("cuCheckpointProcessUnlock", static_cast<int>(pid), &plain);
  step.seconds = secondsSince(start);
  return step;
}

inline std::string checkpointState(pid_t pid) {
  int state = -1;
  const int status = call("cuCheckpointProcessGetState", static_cast<int>(pid), &state);
  constexpr const char* kNames[] = {"RUNNING", "LOCKED", "CHECKPOINTED", "FAILED"};
  if (status != 0) return errorName(status);
  return state >= 0 && state < 4 ? kNames[state] : std::to_string(state);
}

}  // namespace okibi::gpubench
