#include "launcher/terminal.h"

#include <span>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace okibi::launcher::terminal {

Status attach(const Fd& console, Size size) {
  // Not to wait on whatever the application may have put there.
  Fd master(open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
  if (!master) return failed("open /dev/ptmx");
  int locked = 0;
  if (ioctl(master.get(), TIOCSPTLCK, &locked) != 0) return failed("unlock /dev/ptmx");
  // By the master, not by name: what lies at /dev/pts may be anything.
  Fd slave(ioctl(master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!slave) return failed("open the terminal");
  winsize window{};
  window.ws_col = static_cast<unsigned short>(size.columns);
  window.ws_row = static_cast<unsigned short>(size.rows);
  if (ioctl(slave.get(), TIOCSWINSZ, &window) != 0) return failed("window size");
  if (ioctl(slave.get(), TIOCSCTTY, 0) != 0) return failed("controlling terminal");
  for (int target : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(slave.get(), target);
  const int fd = master.get();
  if (!runtime::sendPacket(console.get(), "T", std::span(&fd, 1))) return failed("send the master");
  return {};
}

}  // namespace okibi::launcher::terminal
