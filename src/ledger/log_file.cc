#include "ledger/log_file.h"

#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

namespace okibi::ledger {

std::unexpected<Error> fileError(std::string_view what, const std::filesystem::path& path,
                                 int error) {
  const bool full = error == ENOSPC || error == EDQUOT;
  return failErrno(std::string(what) + " " + path.string(), error,
                   full ? ErrorKind::Exhausted : ErrorKind::Internal);
}

LogFile::~LogFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<LogFile> LogFile::open(const std::filesystem::path& path, int flags) {
  const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
  if (descriptor < 0) return fileError("open", path, errno);
  return LogFile(descriptor);
}

Result<void> LogFile::writeAt(std::string_view bytes, std::uint64_t offset,
                              const std::filesystem::path& path) const {
  while (!bytes.empty()) {
    const ssize_t written =
        ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fileError("write", path, errno);
    bytes.remove_prefix(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
  return {};
}

Result<std::string> LogFile::readAt(std::uint64_t offset, std::size_t size,
                                    const std::filesystem::path& path) const {
  std::string bytes(size, '\0');
  std::size_t have = 0;
  while (have < size) {
    const ssize_t got =
        ::pread(descriptor_, bytes.data() + have, size - have, static_cast<off_t>(offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fileError("read", path, errno);
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
  }
  bytes.resize(have);
  return bytes;
}

Result<void> syncDirectory(const std::filesystem::path& directory) {
  const auto file = LogFile::open(directory, O_RDONLY | O_DIRECTORY);
  if (!file) return fail(file.error());
  if (::fsync(file->get()) != 0) return fileError("fsync", directory, errno);
  return {};
}

}  // namespace okibi::ledger
