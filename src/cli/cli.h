#pragma once
// The client commands of `okibi`: they speak only HTTP, to the daemon's API.

namespace okibi::cli {

// Runs one command and returns the exit code of the process: 0 done, 1 the function or the request
// failed, 2 wrong usage, 3 the daemon cannot be reached, 4 denied. `serve` is listed in --help but
// is not run here: the caller picks it out beforehand.
int run(int argc, char** argv);

}  // namespace okibi::cli
