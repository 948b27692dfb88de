#include "store/state_directory.h"

#include <array>
#include <cerrno>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

namespace okibi::store {
namespace {

constexpr std::string_view kLockName = "okibi.lock";

std::string holderOf(int descriptor) {
  std::array<char, 32> text{};
  const ssize_t size = ::pread(descriptor, text.data(), text.size() - 1, 0);
  std::string pid(text.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  while (!pid.empty() && pid.back() == '\n') pid.pop_back();
  return pid.empty() ? "unknown" : pid;
}

// The pid is for people; the lock is the kernel's.
Result<void> writePid(int descriptor, const std::filesystem::path& file) {
  const std::string pid = fmt::format("{}\n", ::getpid());
  if (::ftruncate(descriptor, 0) != 0 ||
      ::pwrite(descriptor, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    const int error = errno;
    const bool full = error == ENOSPC || error == EDQUOT;
    return failErrno("write " + file.string(), error,
                     full ? ErrorKind::Exhausted : ErrorKind::Internal);
  }
  return {};
}

Result<void> makePrivate(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (!error) {
    std::filesystem::permissions(path, std::filesystem::perms::owner_all, error);
  }
  if (error) {
    return fail(ErrorKind::Invalid,
                fmt::format("state directory {}: {}", path.string(), error.message()));
  }
  return {};
}

}  // namespace

Result<StateDirectory> StateDirectory::acquire(const std::filesystem::path& path) {
  if (auto made = makePrivate(path); !made) return fail(made.error());
  const std::filesystem::path file = path / kLockName;
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (descriptor < 0) {
    return failErrno("state directory: open " + file.string(), errno, ErrorKind::Invalid);
  }
  StateDirectory directory(path, descriptor);  // closes it from here on
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return failErrno("lock " + file.string(), errno);
    return fail(ErrorKind::Unavailable,
                fmt::format("state directory {} is in use by process {}; stop it first or give "
                            "another --state-dir",
                            path.string(), holderOf(descriptor)));
  }
  if (auto ok = writePid(descriptor, file); !ok) return fail(ok.error());
  if (auto made = makePrivate(directory.spoolDirectory()); !made) return fail(made.error());
  return directory;
}

StateDirectory::StateDirectory(StateDirectory&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

StateDirectory::~StateDirectory() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace okibi::store
