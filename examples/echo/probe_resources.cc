// What the process can use: memory, disk, processes, CPU time, the network.
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <ctime>
#include <vector>

#include "probe_support.h"
#include "probes.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

namespace echo {
namespace {

constexpr int64_t kMegabyte = 1 << 20;

int64_t clockMs(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;  // 0: not an address
};

Address unixAddress(const std::string& path) {
  Address address;
  auto* to = reinterpret_cast<sockaddr_un*>(&address.storage);
  if (path.size() + 1 > sizeof to->sun_path) return address;
  to->sun_family = AF_UNIX;
  memcpy(to->sun_path, path.c_str(), path.size() + 1);
  const bool abstract = path.starts_with('@');
  if (abstract) to->sun_path[0] = '\0';
  address.size =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + (abstract ? 0 : 1));
  return address;
}

Address tcpAddress(const std::string& host, int64_t port) {
  Address address;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  const std::string literal = host == "localhost" ? "127.0.0.1" : host;
  if (inet_pton(AF_INET, literal.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(static_cast<uint16_t>(port));
    address.size = sizeof *v4;
  } else if (inet_pton(AF_INET6, literal.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(static_cast<uint16_t>(port));
    address.size = sizeof *v6;
  }
  return address;
}

int tryConnect(const Address& to, int timeoutMs) {
  const int fd = socket(to.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  int error = 0;
  if (connect(fd, reinterpret_cast<const sockaddr*>(&to.storage), to.size) < 0) error = errno;
  if (error == EINPROGRESS) {
    pollfd waiting{fd, POLLOUT, 0};
    socklen_t size = sizeof error;
    if (poll(&waiting, 1, timeoutMs) == 0)
      error = ETIMEDOUT;
    else
      getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  }
  close(fd);
  return error;
}

[[noreturn]] void childLife(const Request& request) {
  close_range(0, ~0U, 0);
  if (request.number("setsid", 0) != 0) setsid();
  if (request.number("ignore_term", 0) != 0) signal(SIGTERM, SIG_IGN);
  for (;;) pause();
}

}  // namespace

Reply probeConnect(const Request& request) {
  const std::string path = request.text("unix");
  const Address to = path.empty()
                         ? tcpAddress(request.text("host", "127.0.0.1"), request.number("port", 80))
                         : unixAddress(path);
  const auto timeoutMs = static_cast<int>(request.number("timeout_ms", 1000));
  JsonObject object;
  addError(object, to.size == 0 ? EINVAL : tryConnect(to, timeoutMs));
  return jsonReply(object);
}

Reply probeAlloc(const Request& request) {
  const int64_t size = request.number("mb", 1) * kMegabyte;
  void* memory = mmap(nullptr, static_cast<size_t>(size), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const int error = memory == MAP_FAILED ? errno : 0;
  if (error == 0) {
    for (int64_t at = 0; at < size; at += 4096) static_cast<volatile char*>(memory)[at] = 1;
    if (request.number("hold", 0) == 0) munmap(memory, static_cast<size_t>(size));
  }
  JsonObject object;
  addError(object.add("touched", error == 0 ? size : 0), error);
  return jsonReply(object, error == 0 ? 200 : 507);
}

Reply probeFill(const Request& request) {
  const std::string path = request.text("path", "/tmp/echo-fill");
  const int64_t wanted = request.number("mb", 1) * kMegabyte;
  const std::vector<char> block(kMegabyte, 'x');
  int64_t written = 0;
  int error = 0;
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) error = errno;
  while (error == 0 && written < wanted) {
    const ssize_t wrote = write(file, block.data(), block.size());
    if (wrote < 0)
      error = errno;
    else
      written += wrote;
  }
  if (file >= 0 && close(file) < 0 && error == 0) error = errno;
  if (request.number("keep", 0) == 0) unlink(path.c_str());
  JsonObject object;
  addError(object.add("path", path).add("written", written), error);
  return jsonReply(object, error == 0 ? 200 : 507);
}

Reply probeFork(const Request& request) {
  std::vector<pid_t> children;
  int error = 0;
  for (int64_t i = 0; i < request.number("n", 1); ++i) {
    const pid_t child = fork();
    if (child == 0) childLife(request);
    if (child < 0) {
      error = errno;
      break;
    }
    children.push_back(child);
  }
  if (request.number("keep", 0) == 0) {
    for (const pid_t child : children) {
      kill(child, SIGKILL);
      waitpid(child, nullptr, 0);
    }
  }
  JsonObject object;
  addError(object.add("forked", static_cast<int64_t>(children.size())), error);
  return jsonReply(object, error == 0 ? 200 : 507);
}

Reply probeCpu(const Request& request) {
  const int64_t wanted = request.number("ms", 10);
  const int64_t wallBegin = clockMs(CLOCK_MONOTONIC);
  const int64_t cpuBegin = clockMs(CLOCK_PROCESS_CPUTIME_ID);
  while (clockMs(CLOCK_PROCESS_CPUTIME_ID) - cpuBegin < wanted) {
  }
  JsonObject object;
  object.add("cpuMs", clockMs(CLOCK_PROCESS_CPUTIME_ID) - cpuBegin);
  object.add("wallMs", clockMs(CLOCK_MONOTONIC) - wallBegin);
  return jsonReply(object);
}

}  // namespace echo
