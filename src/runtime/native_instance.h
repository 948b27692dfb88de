#pragma once
// The daemon's side of one sandbox. For native_runtime's own sources.

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/native_runtime.h"

namespace okibi::runtime {

struct NativeRuntime::Instance {
  Instance(net::Loop& loop, InstanceId instanceId)
      : id(instanceId), launched(loop), settled(loop) {}

  InstanceId id;
  std::uint32_t pid = 0;
  FreezerKind freezer = FreezerKind::V2;
  Fds files;                            // LaunchedFd in order; empty before the launch
  Fds sockets;                          // spare ones that came with the launch
  net::OneShot<Result<void>> launched;  // the init exists, or it never will
  net::Event settled;                   // start() knows how it ends
  bool started = false;                 // start() succeeded: the listener hears of the end
  bool exiting = false, gone = false;
  std::vector<std::shared_ptr<net::Event>> outputEnds;  // one per output pipe
  struct Output {
    seams::OutputStream stream;
    int fd;  // readOutput() owns it
  };
  std::vector<Output> outputs;  // those still open
  std::vector<std::shared_ptr<net::Event>> goneWaiters;
  std::deque<std::shared_ptr<net::OneShot<Result<net::UniqueFd>>>> socketWaiters;
  std::map<std::uint64_t, std::shared_ptr<net::OneShot<int>>>
      executions;  // exit code, 128 + signal
};

struct NativeRuntime::Outgoing {
  std::string bytes;
  Fds fds;
};

}  // namespace okibi::runtime
