#pragma once
// What earlier lives of the launcher may have left. Processes die with it, mounts and loop devices
// with its mount namespace; cgroups (and processes that were frozen in them) are what remains.

#include <string>

#include "launcher/cgroup.h"

namespace okibi::launcher {

// "okibi-<hash of the state directory>".
std::string topGroupOf(const std::string& stateDirectory);

// Forks a process that waits for the launcher's end, whatever brings it, and then sweeps its run.
// So nothing is left even before the next start. Its pid.
Outcome<int> startJanitor(const CgroupLayout& layout, const std::string& top,
                          const std::string& run);

}  // namespace okibi::launcher
