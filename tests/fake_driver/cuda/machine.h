#pragma once
// The machine that all processes using the fake driver share: cards, their memory, who uses how
// much, and where each process stands in checkpointing. One mapped file, `machine/state` in the
// folder the driver's library lies in, so that a program with an empty environment reaches the same
// machine. Settings come from `machine/settings`, one `name=value` a line; faults to inject into
// checkpoint calls from files in `machine/faults` (checkpoint.cc).

#include <cstdint>
#include <string>

#include <pthread.h>
#include <sys/types.h>

namespace okibi::fake {

inline constexpr int kMaxCards = 8;
inline constexpr int kMaxProcesses = 512;

struct Settings {
  int cards = 1;
  std::uint64_t memoryBytes = 1024ull << 20;  // memoryMb: of each card
  std::uint64_t contextBytes = 4ull << 20;    // contextMb: a context takes this, unasked
  std::uint64_t poolChunkBytes = 2ull << 20;  // poolChunkMb: what a pool grows by
  std::uint64_t launchNs = 0;  // launchUs: how long a kernel unknown to the fake runs
  bool forkWorks =
      false;  // after a fork the real driver is of no use to the child; 1: it may start anew
  bool privateEntries = false;  // cuGetProcAddress answers with addresses that are not exported
};

struct ProcessState {
  std::int32_t pid;  // 0: free
  std::int32_t managed;
  std::uint64_t startTick;
  std::uint64_t used[kMaxCards];
  std::uint64_t parked[kMaxCards];  // what a checkpoint took off the cards
  std::int64_t busyUntilNs;         // CLOCK_MONOTONIC of the last work given to a card
  std::int32_t checkpoint;          // cuda::kState…
  std::int32_t lost;                // restore ran out of memory: it can never be restored
};

struct MachineState {
  std::uint64_t magic;
  pthread_mutex_t mutex;  // robust
  std::uint64_t used[kMaxCards];
  std::int64_t cardBusyUntilNs[kMaxCards];
  ProcessState processes[kMaxProcesses];
};

const Settings& settings();
MachineState& machine();
std::string machineFolder();

class MachineLock {
 public:
  MachineLock();
  ~MachineLock();
  MachineLock(const MachineLock&) = delete;
  MachineLock& operator=(const MachineLock&) = delete;
};

std::int64_t nowNs();

// The entry of a process with a living pid, or null. `create` makes the caller's.
ProcessState* processOf(pid_t pid);
ProcessState& ownProcess();

// Device memory of a card for this process; false when the card is full.
bool takeMemory(int card, std::uint64_t bytes);
void returnMemory(int card, std::uint64_t bytes);

// Gives a card `ns` of work; returns when it ends. All processes' work on a card is done one after
// the other.
std::int64_t occupy(int card, std::int64_t notBefore, std::uint64_t ns);

// A call into the driver waits here while the process is locked or checkpointed.
void waitWhileStopped();

// After a fork: forget the parent's entry.
void forgetOwnProcess();

}  // namespace okibi::fake
