#pragma once
// Files of the ledger log: whole reads and writes with errors as Results. Inside ledger only.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace okibi::ledger {

// ENOSPC and EDQUOT are Exhausted, everything else Internal.
std::unexpected<Error> fileError(std::string_view what, const std::filesystem::path& path,
                                 int error);

// Owns a descriptor.
class LogFile {
 public:
  LogFile() = default;
  explicit LogFile(int descriptor) : descriptor_(descriptor) {}
  LogFile(LogFile&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  LogFile& operator=(LogFile&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~LogFile();

  static Result<LogFile> open(const std::filesystem::path& path, int flags);
  int get() const { return descriptor_; }

  // All of `bytes` at `offset`, by one write unless the kernel takes less.
  Result<void> writeAt(std::string_view bytes, std::uint64_t offset,
                       const std::filesystem::path& path) const;
  // Up to `size` bytes; fewer at the end of the file.
  Result<std::string> readAt(std::uint64_t offset, std::size_t size,
                             const std::filesystem::path& path) const;

 private:
  int descriptor_ = -1;
};

// Makes a renamed or new name in the directory durable.
Result<void> syncDirectory(const std::filesystem::path& directory);

}  // namespace okibi::ledger
