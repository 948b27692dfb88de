#pragma once
// Pseudo-terminals, of the sandbox's own devpts.

#include <cstdint>

#include "launcher/sys.h"

namespace okibi::launcher::terminal {

struct Size {
  std::uint32_t columns = 80, rows = 24;
};

// Makes a terminal, makes it the controlling one of the calling process and its standard streams,
// and sends the master over `console`. REQUIRES: leader of a session without a terminal, as the
// user who is to own it.
Status attach(const Fd& console, Size size);

}  // namespace okibi::launcher::terminal
