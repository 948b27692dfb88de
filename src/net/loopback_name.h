#pragma once
// Whether a Host or Origin header names this machine's loopback: "127.0.0.1:7070",
// "http://localhost", "[::1]", "x.localhost". Where requests are unsigned nothing else is served: a
// page in a browser on this machine could otherwise reach the daemon by a name of its own that
// resolves to loopback (DNS rebinding). Anything unusual is not such a name.

#include <string_view>

namespace okibi::net {

bool isLoopbackName(std::string_view hostOrOrigin);

}  // namespace okibi::net
