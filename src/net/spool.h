#pragma once
// Spooled bodies: kept in memory while small, beyond limits::kSpoolMemory in a file that has no
// name, so that nothing is left behind by a crash. A SpooledBody can be read any number of times.
//
// File reads and writes go to the page cache on the loop thread: bodies are at most 32 MB.

#include <string>
#include <string_view>

#include "base/limits.h"
#include "base/result.h"
#include "base/units.h"
#include "net/exchange.h"
#include "net/fd.h"
#include "net/task.h"

namespace okibi::net {

// Error::code of a body over its limit (kind Invalid).
inline constexpr std::string_view kBodyTooLarge = "EntityTooLarge";

class SpooledBody {
 public:
  SpooledBody() = default;  // empty
  explicit SpooledBody(std::string bytes) : memory_(std::move(bytes)), size_(memory_.size()) {}

  Bytes size() const { return Bytes(static_cast<std::int64_t>(size_)); }
  bool inFile() const { return static_cast<bool>(file_); }

  // Reads from the start, piece by piece (64 KiB at most). The body outlives its readers.
  class Reader {
   public:
    explicit Reader(const SpooledBody& body) : body_(&body) {}
    // Valid until the next call; empty: the end. Internal on a disk error.
    Result<std::string_view> next();

   private:
    const SpooledBody* body_;
    std::uint64_t offset_ = 0;
    std::string buffer_;
  };

  // Everything in one string, for bodies whose limit is small.
  Result<std::string> text() const;

 private:
  friend class Spool;
  std::string memory_;  // all of it, or empty when it is in the file
  UniqueFd file_;
  std::uint64_t size_ = 0;
};

// Collects a body.
class Spool {
 public:
  // `directory` is where the file is made, if one is needed.
  explicit Spool(Bytes limit, std::string directory = "/tmp");

  // Invalid with kBodyTooLarge when the limit would be passed, Internal when the disk is full: that
  // is no limit of the caller's.
  Result<void> append(std::string_view piece);
  Bytes size() const { return body_.size(); }
  // REQUIRES: called last.
  SpooledBody take() { return std::move(body_); }

 private:
  Result<void> moveToFile();

  Bytes limit_;
  std::string directory_;
  SpooledBody body_;
};

// The whole request body. A Content-Length over the limit is refused before anything is read.
Task<Result<SpooledBody>> readBody(Exchange& exchange, Bytes limit, std::string directory = "/tmp");

}  // namespace okibi::net
