#pragma once
// Who this process is, and whether another one still lives, from /proc. Works without the C++
// runtime and without allocating: it runs inside foreign programs.

#include "shim/budget.h"

namespace okibi::shim {

// Of the calling process. startTick and pidNamespace are 0 where /proc cannot be read.
budget::Process selfProcess();

// False only when it is certain that the process is gone: no such pid, another start tick, or a
// zombie without threads.
bool mayBeAlive(std::uint32_t pid, std::uint64_t startTick);

// Frees the slots of dead processes of our own pid namespace. Returns how many.
int reapDead(budget::File& file, const budget::Process& self);

}  // namespace okibi::shim
