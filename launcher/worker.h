#pragma once
// Work that takes long, in a forked child, so that the launcher's one thread never waits for it.

#include <functional>

#include "launcher/reactor.h"
#include "launcher/sys.h"

namespace okibi::launcher {

// Forks; `job` runs in the child with the launcher's memory and mount namespace as they are now,
// and its result (a descriptor or nothing, or a Failure) reaches `done` on a later turn. The pid,
// or a Failure when the child cannot be made (`done` is then not called).
Outcome<int> runWorker(Reactor& reactor, const std::function<Outcome<Fd>()>& job,
                       std::function<void(Outcome<Fd>)> done);

}  // namespace okibi::launcher
