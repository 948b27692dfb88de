#pragma once
// The system calls a sandbox may make: equal in effect to the container engines' default profile
// for a container with our capabilities, without any way to make a user namespace.

#include <vector>

#include <linux/filter.h>

#include "launcher/sys.h"

namespace okibi::launcher {

using SeccompProgram = std::vector<sock_filter>;

// 5 ms: once, at the launcher's start.
Outcome<SeccompProgram> compileSeccomp();
// REQUIRES: no_new_privs is set.
Status loadSeccomp(const SeccompProgram& program);

}  // namespace okibi::launcher
