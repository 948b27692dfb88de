#pragma once
// `okibi serve`: builds every part by hand, hands them to each other, runs the loop, drains. No
// globals.

namespace okibi::daemon {

// Exit code: 0 after a drain, 1 when it could not start (the reason is on standard error), 2 for
// wrong flags. argv[0] is the program, argv[1] "serve".
int serve(int argc, char** argv);

}  // namespace okibi::daemon
