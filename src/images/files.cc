#include "images/files.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/log.h"

namespace okibi::images {

namespace fs = std::filesystem;

std::unexpected<Error> failFile(std::string_view what, int error) {
  const bool full = error == ENOSPC || error == EDQUOT;
  return failErrno(what, error, full ? ErrorKind::Exhausted : ErrorKind::Internal);
}

Result<net::UniqueFd> openDirectory(const fs::path& path) {
  net::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return failFile(path.string(), errno);
  return fd;
}

Result<std::string> readFile(const fs::path& path, Bytes max) {
  net::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    const bool absent = errno == ENOENT || errno == ENOTDIR;
    return failErrno(path.string(), errno, absent ? ErrorKind::NotFound : ErrorKind::Internal);
  }
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return failFile(path.string(), errno);
  if (!S_ISREG(status.st_mode)) return fail(ErrorKind::Invalid, path.string() + ": not a file");
  if (status.st_size > max.count()) {
    return fail(ErrorKind::Invalid, fmt::format("{}: {} bytes are more than the allowed {}",
                                                path.string(), status.st_size, max.count()));
  }
  std::string content(static_cast<std::size_t>(status.st_size), '\0');
  std::size_t done = 0;
  while (done < content.size()) {
    const ssize_t n = ::read(fd.get(), content.data() + done, content.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failFile(path.string(), errno);
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  content.resize(done);
  return content;
}

namespace {

Result<void> writeAll(int fd, std::string_view content, const fs::path& path) {
  while (!content.empty()) {
    const ssize_t n = ::write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failFile(path.string(), errno);
    content.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

}  // namespace

Result<void> writeFileDurably(const fs::path& path, std::string_view content) {
  std::string name = path.string() + ".tmp-XXXXXX";
  net::UniqueFd fd(::mkostemp(name.data(), O_CLOEXEC));
  if (!fd) return failFile(name, errno);
  Result<void> written = writeAll(fd.get(), content, name);
  if (written && ::fsync(fd.get()) != 0) written = failFile(name, errno);
  if (written && ::rename(name.c_str(), path.c_str()) != 0) written = failFile(name, errno);
  if (!written) {
    ::unlink(name.c_str());
    return written;
  }
  return syncDirectory(path.parent_path());
}

Result<void> copyFile(const fs::path& from, const fs::path& to) {
  net::UniqueFd in(::open(from.c_str(), O_RDONLY | O_CLOEXEC));
  if (!in) {
    return failErrno(from.string(), errno,
                     errno == ENOENT ? ErrorKind::NotFound : ErrorKind::Internal);
  }
  net::UniqueFd out(::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!out) return failFile(to.string(), errno);
  for (;;) {
    const ssize_t n = ::copy_file_range(in.get(), nullptr, out.get(), nullptr, 1 << 30, 0);
    if (n > 0) continue;
    if (n == 0) return {};
    if (errno != EXDEV && errno != EINVAL && errno != EOPNOTSUPP) {
      return failFile(to.string(), errno);
    }
    break;
  }
  std::string buffer(1 << 20, '\0');
  for (;;) {
    const ssize_t n = ::read(in.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failFile(from.string(), errno);
    if (n == 0) return {};
    const std::string_view piece(buffer.data(), static_cast<std::size_t>(n));
    if (Result<void> done = writeAll(out.get(), piece, to); !done) return done;
  }
}

Result<void> syncDirectory(const fs::path& path) {
  Result<net::UniqueFd> fd = openDirectory(path);
  if (!fd) return fail(std::move(fd.error()));
  if (::fsync(fd->get()) != 0) return failFile(path.string(), errno);
  return {};
}

Result<void> removeTree(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) return failFile("remove " + path.string(), error.value());
  return {};
}

Result<Bytes> freeSpace(const fs::path& path) {
  struct statvfs status{};
  if (::statvfs(path.c_str(), &status) != 0) return failFile(path.string(), errno);
  return Bytes(static_cast<std::int64_t>(status.f_bavail * status.f_frsize));
}

Bytes availableMemory() {
  std::ifstream in("/proc/meminfo");
  std::string key;
  std::int64_t kib = 0;
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with("MemAvailable:")) continue;
    kib = std::strtoll(line.c_str() + 13, nullptr, 10);
  }
  return Bytes::kib(kib);
}

Result<MappedFile> MappedFile::open(const fs::path& path) {
  net::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    return failErrno(path.string(), errno,
                     errno == ENOENT ? ErrorKind::NotFound : ErrorKind::Internal);
  }
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return failFile(path.string(), errno);
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size == 0) return MappedFile({});
  // Filling the page tables in one go saves a fault per page; not for what may exceed the memory.
  const int flags = MAP_PRIVATE | (size <= (1U << 30) ? MAP_POPULATE : 0);
  void* address = ::mmap(nullptr, size, PROT_READ, flags, fd.get(), 0);
  if (address == MAP_FAILED) return failFile("map " + path.string(), errno);
  return MappedFile({static_cast<const std::byte*>(address), size});
}

MappedFile::MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

MappedFile::~MappedFile() {
  if (bytes_.empty()) return;
  ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

Result<TemporaryDirectory> TemporaryDirectory::make(const fs::path& parent) {
  std::string name = (parent / "work-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) return failFile(name, errno);
  return TemporaryDirectory(fs::path(name));
}

TemporaryDirectory::TemporaryDirectory(TemporaryDirectory&& other) noexcept
    : path_(std::exchange(other.path_, {})) {}

TemporaryDirectory::~TemporaryDirectory() {
  if (path_.empty()) return;
  if (Result<void> removed = removeTree(path_); !removed) {
    log::warning("temporary directory stays", "error=\"{}\"", removed.error().message);
  }
}

}  // namespace okibi::images
