#pragma once
// What this machine can and cannot do, for `okibi doctor`.

#include <string>
#include <vector>

#include "launcher/cgroup.h"

namespace okibi::launcher {

struct Finding {
  std::string check;
  bool ok = false;
  bool required = true;
  std::string detail, remedy;  // remedy: when not ok
};

// Tries everything a sandbox needs, in child processes; leaves nothing behind.
std::vector<Finding> checkMachine(const std::string& stateDirectory);
// {"check":"cgroup memory","ok":true,"required":true,"detail":"…","remedy":""}
std::string toJsonLine(const Finding& finding);

// The first thing that makes sandboxes impossible, as a failure; cheap, done at every start.
Status checkEssentials(const CgroupLayout& layout);

}  // namespace okibi::launcher
