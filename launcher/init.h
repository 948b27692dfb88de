#pragma once
// The init of a sandbox: PID 1, the parent of the application. It forwards signals, reaps orphans,
// starts further commands for execute(), reports how the application ended, and ends; the kernel
// then kills whatever is left in the PID namespace. It is not dumpable, holds the sandbox's
// capabilities and filter, and keeps no descriptor but its control socket.

#include <cstdint>
#include <variant>

#include "launcher/launch.h"

namespace okibi::launcher {

// What an init tells the launcher over the control socket.
struct InitReport {
  std::uint64_t execution = 0;  // 0: the application itself
  std::uint32_t exitCode = 0, signal = 0;
};
template <typename V>
void fields(V& v, InitReport& m) {
  v(m.execution, m.exitCode, m.signal);
}

// Becomes the sandbox, starts the application, and serves until it ends.
[[noreturn]] void runInit(Sandbox sandbox);

}  // namespace okibi::launcher
