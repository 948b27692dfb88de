#include "launcher/netns.h"

#include <cstring>

#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace okibi::launcher::netns {

Status enterNew() {
  if (unshare(CLONE_NEWNET) != 0) return failed("unshare");
  Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return failed("socket");
  ifreq request{};
  std::strncpy(request.ifr_name, "lo", IFNAMSIZ - 1);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) return failed("bring lo up");
  return writeFile("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
}

Outcome<Fd> openOwn() {
  Fd fd(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!fd) return failed("open /proc/self/ns/net");
  return fd;
}

Outcome<Fd> makeSocket() {
  Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return failed("socket");
  return fd;
}

Outcome<Fd> makeSocketIn(const Fd& ns, const Fd& home) {
  if (setns(ns.get(), CLONE_NEWNET) != 0) return failed("setns");
  Outcome<Fd> made = makeSocket();
  // Staying in an instance's namespace would hand out its sockets as another's.
  if (setns(home.get(), CLONE_NEWNET) != 0) {
    logLine("cannot leave an instance's network namespace");
    std::abort();
  }
  return made;
}

}  // namespace okibi::launcher::netns
