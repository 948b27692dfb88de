#pragma once
// StateDirectory: the directory a daemon keeps everything in, held by at most one process.

#include <filesystem>

#include "base/result.h"

namespace okibi::store {

class StateDirectory {
 public:
  // Makes the directory (mode 0700) if missing and locks "okibi.lock" in it; the kernel lets the
  // lock go with the process. Unavailable: another process holds it, message names its pid.
  // Invalid: not a directory, or not ours to write.
  static Result<StateDirectory> acquire(const std::filesystem::path& path);

  StateDirectory(StateDirectory&& other) noexcept;
  StateDirectory& operator=(StateDirectory&&) = delete;
  ~StateDirectory();

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path databaseFile() const { return path_ / "okibi.db"; }
  std::filesystem::path ledgerDirectory() const { return path_ / "ledger"; }
  // Made by acquire(). For bodies on their way; its files have no names.
  std::filesystem::path spoolDirectory() const { return path_ / "spool"; }

 private:
  StateDirectory(std::filesystem::path path, int descriptor)
      : path_(std::move(path)), descriptor_(descriptor) {}
  std::filesystem::path path_;
  int descriptor_ = -1;
};

}  // namespace okibi::store
