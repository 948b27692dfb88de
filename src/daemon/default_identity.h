#pragma once
// DefaultIdentity: the certificate of the daemon's own names, from two files that are read again
// when they change. A pair that does not fit (one file is newer than the other) is not taken: the
// one before goes on. Loop thread only.

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "net/tls.h"

namespace okibi::daemon {

class DefaultIdentity {
 public:
  // Both empty: there is none, and only names of custom domains are served over TLS.
  DefaultIdentity(std::filesystem::path certificate, std::filesystem::path key)
      : certificate_(std::move(certificate)), key_(std::move(key)) {}

  // Reads the files if they have changed since the last look. Errors say which file.
  Result<void> refresh(WallTime now);

  const std::shared_ptr<const net::TlsIdentity>& identity() const { return identity_; }
  // What the certificate is for.
  const std::vector<std::string>& names() const { return names_; }

 private:
  struct Stamp {
    std::uint64_t inode = 0;
    std::int64_t size = 0, seconds = 0, nanoseconds = 0;
    bool operator==(const Stamp&) const = default;
  };
  static Stamp stampOf(const std::filesystem::path& file);

  std::filesystem::path certificate_, key_;
  Stamp seen_[2];
  std::shared_ptr<const net::TlsIdentity> identity_;
  std::vector<std::string> names_;
};

}  // namespace okibi::daemon
