#pragma once
// A stub: a process that waits, parked in the cgroups of one slot and in a network namespace of its
// own, to give birth to one sandbox. It clones with CLONE_PARENT, so the sandbox's init is a child
// of the launcher, is born inside every limit, and costs no write to cgroup.procs; then it ends.

#include "launcher/cgroup.h"
#include "launcher/launch.h"
#include "launcher/sys.h"

namespace okibi::launcher {

// Sockets made ahead in the namespace of a slot.
inline constexpr int kSocketsAhead = 3;

// From the stub when it is parked (descriptors: network namespace, then kSocketsAhead sockets) and
// when it has cloned. A failure has step set.
struct StubReport {
  Failure failure;
  std::int32_t initPid = 0;  // 0: parked
};

template <typename V>
void fields(V& v, LaunchOrder& m) {
  v(m.request, m.disk);
}
template <typename V>
void fields(V& v, StubReport& m) {
  v(m.failure, m.initPid);
}

// Runs in a child of the launcher. `socket` is its talk with the launcher.
[[noreturn]] void runStub(const Machine& machine, const CgroupSet& cgroups, Fd socket);

}  // namespace okibi::launcher
