#pragma once
// Files and directories that an instance finds in its root besides the image's. They are written
// through the overlay, so they land in the instance's own writable layer.

#include <string>

#include "launcher/sys.h"

namespace okibi::launcher::rootfs {

// /etc/hostname, /etc/hosts, /etc/resolv.conf: a machine with a name and no network.
Status writeNetworkFiles(const std::string& hostname);
// /tmp and the working directory, when the image has none.
Status makeDirectories(const std::string& workingDirectory);

}  // namespace okibi::launcher::rootfs
