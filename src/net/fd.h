#pragma once
// UniqueFd: the one owner of a file descriptor.

#include <utility>

namespace okibi::net {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  // Gives ownership away; closing is then the caller's.
  int release() { return std::exchange(fd_, -1); }
  // Closes what is held, then owns `fd`.
  void reset(int fd = -1);

 private:
  int fd_ = -1;  // -1: none
};

}  // namespace okibi::net
