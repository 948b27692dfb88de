#pragma once
// Sessions: programs run inside the sandbox for somebody who talks with them. Each has a keeper, a
// child of the init and the parent of the program: whatever the program leaves behind becomes the
// keeper's child (PR_SET_CHILD_SUBREAPER), however it has detached itself, and is killed when the
// program has ended or the session is to end.

#include <vector>

#include <signal.h>

#include "launcher/launch.h"

namespace okibi::launcher {

// To the keeper: end the session.
inline constexpr int kEndSession = SIGTERM;

// Called by the init, with `fds` as runtime::SessionRequest says. The keeper's pid; its exit code
// is the program's, or 128 + signal. -1: there is none, the reason is on the status pipe. With a
// terminal the program has a TERM.
int startSession(Sandbox& sandbox, const runtime::SessionRequest& request, std::vector<Fd>& fds);

}  // namespace okibi::launcher
