#pragma once
// The system calls a sandbox may make: equal in effect to the container engines' default profile
// for a container with our capabilities, without any way to make a user namespace.

#include <vector>

#include <linux/filter.h>

#include "launcher/sys.h"

namespace okibi::launcher {

using SeccompProgram = std::vector<sock_filter>;

// libseccomp knows the numbers; the program is our own, a binary search over ranges of them. It has
// a fifth of the instructions that libseccomp's has, and every launch pays for loading it.
Outcome<SeccompProgram> compileSeccomp();
// REQUIRES: no_new_privs is set.
Status loadSeccomp(const SeccompProgram& program);

}  // namespace okibi::launcher
