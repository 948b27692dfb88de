#include "cli/files.h"

#include <cstdio>
#include <memory>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace okibi::cli {

namespace {

struct CloseFile {
  void operator()(std::FILE* file) const {
    if (file != stdin && file != stdout) std::fclose(file);
  }
};
using FilePointer = std::unique_ptr<std::FILE, CloseFile>;

}  // namespace

Result<std::string> readFile(const std::string& path, Bytes limit) {
  FilePointer file(path == "-" ? stdin : std::fopen(path.c_str(), "rb"));
  if (!file) return failErrno(path, errno, ErrorKind::Invalid);
  std::string bytes;
  char buffer[64 * 1024];
  while (std::size_t got = std::fread(buffer, 1, sizeof buffer, file.get())) {
    bytes.append(buffer, got);
    if (static_cast<std::int64_t>(bytes.size()) > limit.count()) {
      return fail(ErrorKind::Invalid, fmt::format("{}: over {} MB", path, limit.wholeMib()));
    }
  }
  if (std::ferror(file.get())) return failErrno(path, errno, ErrorKind::Invalid);
  return bytes;
}

Result<void> writeFile(const std::string& path, std::string_view bytes) {
  FilePointer file(path == "-" ? stdout : std::fopen(path.c_str(), "wb"));
  if (!file) return failErrno(path, errno);
  bool written = std::fwrite(bytes.data(), 1, bytes.size(), file.get()) == bytes.size();
  if (!written || std::fflush(file.get()) != 0) return failErrno(path, errno);
  return {};
}

bool inputIsPiped() {
  struct stat status{};
  if (::fstat(STDIN_FILENO, &status) != 0) return false;
  return S_ISFIFO(status.st_mode) || S_ISREG(status.st_mode) || S_ISSOCK(status.st_mode);
}

}  // namespace okibi::cli
