#pragma once
// The few file operations the image store needs, with errors as Result. A full disk is Exhausted
// everywhere.

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/units.h"
#include "net/fd.h"

namespace okibi::images {

// Error of a failed system call: ENOSPC and EDQUOT become Exhausted, all else Internal.
std::unexpected<Error> failFile(std::string_view what, int error);

Result<net::UniqueFd> openDirectory(const std::filesystem::path& path);
// Whole content. Errors: NotFound; Invalid when it is larger than `max`.
Result<std::string> readFile(const std::filesystem::path& path, Bytes max);
// Written to a temporary name in the same directory, synced, renamed, directory synced.
Result<void> writeFileDurably(const std::filesystem::path& path, std::string_view content);
// Copies by reference where the file system can.
Result<void> copyFile(const std::filesystem::path& from, const std::filesystem::path& to);
Result<void> syncDirectory(const std::filesystem::path& path);
// Everything below and the thing itself, not following links. Absent is fine.
Result<void> removeTree(const std::filesystem::path& path);
Result<Bytes> freeSpace(const std::filesystem::path& path);
// How much memory the kernel says is available without swapping.
Bytes availableMemory();

// A file mapped read-only for its whole life.
class MappedFile {
 public:
  static Result<MappedFile> open(const std::filesystem::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&&) = delete;
  ~MappedFile();
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  explicit MappedFile(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::span<const std::byte> bytes_;
};

// A directory of a name nobody else has, removed with its content at the end unless released.
class TemporaryDirectory {
 public:
  static Result<TemporaryDirectory> make(const std::filesystem::path& parent);
  TemporaryDirectory(TemporaryDirectory&& other) noexcept;
  TemporaryDirectory& operator=(TemporaryDirectory&&) = delete;
  ~TemporaryDirectory();
  const std::filesystem::path& path() const { return path_; }

 private:
  explicit TemporaryDirectory(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

}  // namespace okibi::images
