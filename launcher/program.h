#pragma once
// Starting a program inside the sandbox, by a process of the sandbox: the application, a command of
// execute(), the program of a session. It gets the application's identity, environment, working
// directory and limits.

#include <string>
#include <vector>

#include "launcher/launch.h"
#include "launcher/terminal.h"

namespace okibi::launcher {

// What it is given. Streams that are not set are /dev/null.
struct ProgramEnds {
  Fd status;  // runtime::LaunchStatus
  Fd in, out, err;
  Fd console;  // instead of the three: a socket; it gets a terminal, whose master is sent there
  terminal::Size size;
};

// Waits until it has been executed, or says on `status` why it was not. Its pid; -1: there is none.
int startProgram(const Sandbox& sandbox, const ProgramEnds& ends,
                 const std::vector<std::string>& command);

// Says on a status pipe which step failed.
void reportFailure(const Fd& status, const Failure& failure);

}  // namespace okibi::launcher
