#pragma once
// A pipe, close-on-exec.

#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

#include "base/result.h"
#include "net/fd.h"

namespace okibi::runtime {

struct Pipe {
  net::UniqueFd readEnd, writeEnd;
};

inline Result<Pipe> makePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return failErrno("pipe", errno, ErrorKind::Unavailable);
  return Pipe{net::UniqueFd(ends[0]), net::UniqueFd(ends[1])};
}

}  // namespace okibi::runtime
