#include "cli/terminal.h"

#include <array>
#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace okibi::cli {
namespace {

// What signal handlers need to know; they can be given nothing.
termios before{};
volatile std::sig_atomic_t isRaw = 0;
volatile std::sig_atomic_t shapeChanged = -1;  // where to say so

constexpr std::array kEnding = {SIGTERM, SIGHUP, SIGINT, SIGQUIT};

void restore() {
  if (isRaw != 0) tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
  isRaw = 0;
}

// Ends as it would have, with the terminal as it was.
void onEnding(int signal) {
  restore();
  std::signal(signal, SIG_DFL);
  ::raise(signal);
}

void onShape(int) {
  const int saved = errno;
  [[maybe_unused]] const ssize_t n = ::write(shapeChanged, "", 1);
  errno = saved;
}

}  // namespace

RawTerminal::RawTerminal() {
  if (tcgetattr(STDIN_FILENO, &before) != 0) return;
  termios raw = before;
  cfmakeraw(&raw);
  isRaw = 1;
  for (int signal : kEnding) std::signal(signal, onEnding);
  tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
}

RawTerminal::~RawTerminal() {
  restore();
  for (int signal : kEnding) std::signal(signal, SIG_DFL);
}

bool inputIsTerminal() {
  return isatty(STDIN_FILENO) != 0;
}

TerminalShape terminalShape() {
  winsize size{};
  if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) {
    return {};
  }
  return {size.ws_col, size.ws_row};
}

net::UniqueFd watchTerminalShape() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return {};
  shapeChanged = ends[1];  // for the rest of the process
  std::signal(SIGWINCH, onShape);
  return net::UniqueFd(ends[0]);
}

}  // namespace okibi::cli
