#pragma once
// This process's terminal: raw while a program elsewhere has it, and as it was again however this
// process ends; its size, and when that changes.

#include <optional>

#include <termios.h>

#include "net/fd.h"

namespace okibi::cli {

struct TerminalShape {
  int columns = 80, rows = 24;
};

// One at a time in a process.
class RawTerminal {
 public:
  // Standard input becomes raw. REQUIRES: it is a terminal.
  RawTerminal();
  ~RawTerminal();
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;
};

bool inputIsTerminal();
TerminalShape terminalShape();

// Becomes readable with each change of the terminal's size. One in a process.
net::UniqueFd watchTerminalShape();

}  // namespace okibi::cli
