#pragma once
// What root inside a sandbox may do: Docker's default capabilities less NET_RAW and MKNOD.

#include "launcher/sys.h"

namespace okibi::launcher {

// Bounding set, permitted and effective of the calling process; ambient and inheritable emptied.
// A later exec as root gets exactly these, as another user none.
Status dropCapabilities();

}  // namespace okibi::launcher
