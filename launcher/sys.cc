#include "launcher/sys.h"

#include <algorithm>

#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

namespace okibi::launcher {

void Fd::reset(int fd) {
  if (fd_ >= 0) close(fd_);
  fd_ = fd;
}

Outcome<std::string> readFile(const std::string& path) {
  Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return failed("open " + path);
  std::string text;
  char piece[4096];
  for (;;) {
    ssize_t size = read(fd.get(), piece, sizeof(piece));
    if (size == 0) return text;
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return failed("read " + path);
    text.append(piece, static_cast<std::size_t>(size));
  }
}

Status writeFile(const std::string& path, std::string_view text) {
  Fd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return failed("open " + path);
  if (write(fd.get(), text.data(), text.size()) < 0) return failed("write " + path);
  return {};
}

bool exists(const std::string& path) {
  return access(path.c_str(), F_OK) == 0;
}

Status makeDirectory(const std::string& path, unsigned mode) {
  if (mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return {};
  return failed("mkdir " + path);
}

std::vector<std::string> listDirectory(const std::string& path) {
  std::vector<std::string> names;
  DIR* directory = opendir(path.c_str());
  if (directory == nullptr) return names;
  while (dirent* entry = readdir(directory)) {
    std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(std::move(name));
  }
  closedir(directory);
  return names;
}

Outcome<SocketPair> makeSocketPair() {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return failed("socketpair");
  return SocketPair{Fd(pair[0]), Fd(pair[1])};
}

std::string procFd(int fd) {
  return "/proc/self/fd/" + std::to_string(fd);
}

std::int64_t nowNs() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1'000'000'000LL + t.tv_nsec;
}

void logLine(std::string_view text) {
  std::string line = "okibi-launcher: ";
  line += text;
  line += '\n';
  // Standard error may be a closed pipe; there is nobody else to tell.
  [[maybe_unused]] ssize_t ignored = write(STDERR_FILENO, line.data(), line.size());
}

void keepOnly(std::vector<int> keep) {
  // First above everything that will be overwritten, then down into place.
  int floor = 3 + static_cast<int>(keep.size());
  for (int& fd : keep) fd = fcntl(fd, F_DUPFD_CLOEXEC, floor);
  for (std::size_t i = 0; i < keep.size(); ++i) dup3(keep[i], 3 + static_cast<int>(i), O_CLOEXEC);
  close_range(static_cast<unsigned>(floor), ~0U, 0);
}

}  // namespace okibi::launcher
