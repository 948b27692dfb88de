#include "launcher/stub.h"

#include <linux/sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "launcher/init.h"
#include "launcher/netns.h"
#include "runtime/protocol_fields.h"

namespace okibi::launcher {

namespace {

void send(const Fd& socket, const StubReport& report, std::span<const int> fds = {}) {
  (void)runtime::sendPacket(socket.get(), runtime::wire::encodeFields(report), fds);
}

[[noreturn]] void giveUp(const Fd& socket, std::string step, Failure failure) {
  failure.step = std::move(step);
  send(socket, StubReport{std::move(failure), 0});
  _exit(1);
}

// Everything that takes long, before anybody waits.
void park(const CgroupSet& cgroups, const Fd& socket) {
  if (Status made = netns::enterNew(); !made) giveUp(socket, "network namespace", made.error());
  Outcome<Fd> ns = netns::openOwn();
  if (!ns) giveUp(socket, "network namespace", ns.error());
  std::vector<Fd> owned;
  owned.push_back(std::move(*ns));
  for (int i = 0; i < kSocketsAhead; ++i) {
    Outcome<Fd> made = netns::makeSocket();
    if (!made) giveUp(socket, "network namespace", made.error());
    owned.push_back(std::move(*made));
  }
  if (Status entered = cgroups.enterV1(); !entered) giveUp(socket, "cgroup", entered.error());
  std::vector<int> fds;
  for (const Fd& fd : owned) fds.push_back(fd.get());
  send(socket, StubReport{}, fds);
}

// `pidfd` comes from the clone itself: an init that has already ended, and been reaped by the
// launcher, cannot be opened by its pid any more.
long cloneInit(const Fd& v2Group, Fd& pidfd) {
  clone_args args{};
  int made = -1;
  // Without an exit signal: with CLONE_PARENT the child has the stub's own, SIGCHLD.
  args.flags =
      CLONE_PARENT | CLONE_PIDFD | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC;
  if (v2Group) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = static_cast<__u64>(v2Group.get());
  }
  args.pidfd = reinterpret_cast<__u64>(&made);
  const long pid = syscall(SYS_clone3, &args, sizeof(args));
  if (pid > 0) pidfd = Fd(made);
  return pid;
}

}  // namespace

void runStub(const Machine& machine, const CgroupSet& cgroups, Fd inherited) {
  keepOnly({inherited.release()});
  Fd socket(3);
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (getppid() != machine.launcherPid) _exit(1);
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  Outcome<Fd> v2Group = cgroups.openV2();
  if (!v2Group) giveUp(socket, "cgroup", v2Group.error());
  park(cgroups, socket);

  Result<runtime::Packet> packet = runtime::receivePacket(socket.get());
  if (!packet || packet->endOfStream || packet->fds.size() != 4) _exit(0);
  LaunchOrder order;
  if (!runtime::wire::decodeFields(packet->bytes, order)) _exit(1);
  LaunchEnds ends{Fd(packet->fds[0]), Fd(packet->fds[1]), Fd(packet->fds[2]), Fd(packet->fds[3])};
  Fd pidfd;
  long pid = cloneInit(*v2Group, pidfd);
  if (pid == 0) {
    socket.reset();
    v2Group->reset();
    runInit(Sandbox{machine, std::move(order), std::move(ends), {}, {}, {}, {}});
  }
  if (pid < 0) giveUp(socket, "clone", Failure{"", errno, "clone3"});
  const int fd = pidfd.get();
  send(socket, StubReport{{}, static_cast<std::int32_t>(pid)}, std::span(&fd, 1));
  _exit(0);
}

}  // namespace okibi::launcher
