#pragma once
// The mounts of a sandbox. All happen in the new process's own mount namespace, so nothing is ever
// unmounted: it goes with the last process. After enterRoot() every path is resolved inside the
// image's root, so an image's symbolic links lead nowhere else.

#include <cstdint>
#include <string>
#include <vector>

#include "launcher/cgroup.h"
#include "launcher/sys.h"

namespace okibi::launcher::mounts {

// From here on nothing that is mounted reaches the launcher or the host.
Status makePrivate();
// overlay of `layers` (lowest first) and the writable `disk` (with upper/ and work/) at `root`.
Status mountOverlay(const std::vector<std::string>& layers, const std::string& disk,
                    const std::string& root);
// pivot_root, and the old root away.
Status enterRoot(const std::string& root);
Status mountProc();
// null zero full random urandom tty, ptmx and pts, the fd links.
Status mountDev();
Status mountShm(std::uint64_t bytes);
// Read-only sysfs.
Status mountSys();
// Read-only view of the sandbox's own groups in /sys/fs/cgroup, for programs that ask for their
// limits.
Status mountCgroups(const CgroupLayout& layout);
// What OCI runtimes hide of /proc and /sys, or make read-only.
Status maskPaths();

}  // namespace okibi::launcher::mounts
