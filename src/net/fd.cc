#include "net/fd.h"

#include <unistd.h>

namespace okibi::net {

void UniqueFd::reset(int fd) {
  // EINTR leaves the descriptor closed on Linux; a second close could hit somebody else's.
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

}  // namespace okibi::net
