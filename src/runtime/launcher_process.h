#pragma once
// LauncherProcess: a running okibi-launcher and our end of the talk with it.

#include <filesystem>
#include <vector>

#include <sys/types.h>

#include "base/result.h"
#include "base/units.h"
#include "model/model_directory.h"
#include "net/fd.h"

namespace okibi::runtime {

struct Options {
  std::filesystem::path launcherPath;
  std::filesystem::path stateDirectory;  // must exist; the launcher works in its "sandbox" folder
  std::vector<ModelRoot> modelRoots{};   // the only ones that instances may be given
  int readySlots = 4;                    // cgroups + network namespace + stub, kept waiting
  int readyDisks = 2;                    // writable layers kept waiting, per disk size seen
  Duration restartBackoff =
      std::chrono::milliseconds(100);  // doubled by each failure, at most 10 s
};

struct LauncherProcess {
  pid_t pid = 0;
  net::UniqueFd socket;  // SOCK_SEQPACKET; closing it ends the launcher and every instance
};

// Starts the launcher, which removes remnants of earlier lives, and waits until it is ready (some
// 10 ms). Call it before the process has threads or secrets. Errors: Unavailable with the step and
// its reason (not root, a cgroup controller missing, the binary missing).
Result<LauncherProcess> spawnLauncher(const Options& options);

}  // namespace okibi::runtime
