#pragma once
// Thin wrappers over system calls that every module of the launcher uses: an owned descriptor, the
// Status of a step, whole-file reads and writes.

#include <cerrno>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/protocol.h"

namespace okibi::launcher {

using runtime::Failure;

// What a step returns. The runner of the steps fills in the step's name.
using Status = std::expected<void, Failure>;
template <typename T>
using Outcome = std::expected<T, Failure>;

// A failure with errno as it is now: return failed("mount /proc").
inline std::unexpected<Failure> failed(std::string detail, int error = errno) {
  return std::unexpected(Failure{"", error, std::move(detail)});
}
// A failure that no errno explains.
inline std::unexpected<Failure> refused(std::string reason) {
  return std::unexpected(Failure{"", 0, std::move(reason)});
}
inline std::unexpected<Failure> named(std::string step, Failure failure) {
  failure.step = std::move(step);
  return std::unexpected(std::move(failure));
}

// The one owner of a descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  ~Fd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1);

 private:
  int fd_ = -1;
};

Outcome<std::string> readFile(const std::string& path);
// One write(2), as control files want it.
Status writeFile(const std::string& path, std::string_view text);
bool exists(const std::string& path);
Status makeDirectory(const std::string& path, unsigned mode);  // fine when it is there

// Names in a directory, without "." and "..". Empty when it cannot be read.
std::vector<std::string> listDirectory(const std::string& path);

struct SocketPair {
  Fd ours, theirs;
};
// SOCK_SEQPACKET, CLOEXEC, blocking.
Outcome<SocketPair> makeSocketPair();

std::string procFd(int fd);  // "/proc/self/fd/7"

// Monotonic nanoseconds.
std::int64_t nowNs();

// A line "okibi-launcher: text" on standard error.
void logLine(std::string_view text);

// Moves `keep` to 3, 4, … in order and closes every other descriptor from 3 up. Only
// async-signal-safe calls. The caller's integers are stale afterwards.
void keepOnly(std::vector<int> keep);

}  // namespace okibi::launcher
