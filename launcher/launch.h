#pragma once
// The table of contents of a launch, seen from inside: what the new process does to become a
// sandbox, step by step. Runs as PID 1 of the new PID namespace, forked by a stub that is already
// in the instance's cgroups and network namespace. No step needs an undo of its own: each changes
// only this process and its private mount namespace, and both end with it. What the launcher itself
// takes for a launch (slot, disk) and gives back is in instance.h.

#include <string>
#include <vector>

#include "launcher/cgroup.h"
#include "launcher/devices.h"
#include "launcher/identity.h"
#include "launcher/models.h"
#include "launcher/seccomp.h"
#include "launcher/sys.h"
#include "runtime/protocol.h"

namespace okibi::launcher {

// Made once at the launcher's start and inherited by every child.
struct Machine {
  CgroupLayout cgroups;
  SeccompProgram seccomp;
  std::string
      rootMount;  // an empty directory; every instance mounts its root there, in its own namespace
  int launcherPid = 0;
  std::string stateDirectory;  // the daemon's
  models::Roots modelRoots;
};

// The ends an instance's first process is given.
struct LaunchEnds {
  Fd status, out, err;  // pipes to the daemon
  Fd control;           // to the launcher; its end of file means that the launcher is gone
};

struct LaunchOrder {
  runtime::StartRequest request;
  std::string disk;  // where the writable layer is mounted
};

// What the steps find out for the init.
struct Sandbox {
  const Machine& machine;
  LaunchOrder order;
  LaunchEnds ends;
  devices::Sources deviceSources;
  std::vector<Fd> modelSources;
  Identity identity;
  std::vector<std::string> environment;  // of the application, PATH and HOME completed
};

// All steps in order. The failure carries the step's name.
Status enterSandbox(Sandbox& sandbox);
// The names of the steps, for documentation and tests.
std::vector<std::string> launchSteps();

}  // namespace okibi::launcher
