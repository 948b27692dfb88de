#pragma once
// Network namespaces that hold a loopback interface and nothing else.

#include "launcher/sys.h"

namespace okibi::launcher::netns {

// Moves the calling process into a new one: lo up, ports below 1024 open to everyone inside.
Status enterNew();
// The calling process's namespace.
Outcome<Fd> openOwn();
// An unconnected TCP socket in the calling process's namespace.
Outcome<Fd> makeSocket();
// The same in `ns`, and back again. 5 µs.
Outcome<Fd> makeSocketIn(const Fd& ns, const Fd& home);

}  // namespace okibi::launcher::netns
