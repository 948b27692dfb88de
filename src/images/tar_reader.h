#pragma once
// TarReader: the tar formats that layers come in (v7, ustar, pax, GNU long names), as a stream of
// entries. It only reads; what an entry may do to a directory is LayerWriter's matter. Sparse files
// and multi-volume archives are refused by name. Checked for: header checksums, numbers, sizes.

#include <ctime>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

#include "base/result.h"

namespace okibi::images {

// Where a tar's bytes come from, piece by piece. An empty piece is the end.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // The span is valid until the next call.
  virtual Result<std::span<const std::byte>> next() = 0;
};

enum class EntryType { File, HardLink, Symlink, CharDevice, BlockDevice, Directory, Fifo };

struct TarEntry {
  EntryType type = EntryType::File;
  std::string path;        // as written, unchecked
  std::string linkTarget;  // of links, as written, unchecked
  mode_t mode = 0;         // permission, setuid, setgid and sticky bits
  uid_t uid = 0;
  gid_t gid = 0;
  std::int64_t size = 0;  // of the content that follows; 0 unless a file
  timespec modified{};
  std::vector<std::pair<std::string, std::string>> xattrs;  // from SCHILY.xattr
};

class TarReader {
 public:
  explicit TarReader(ByteSource& source) : source_(source) {}

  // The next entry, or nullopt at the end; skips what was not read of the one before. After the end
  // the source is read to its end too, so that a digest covers everything.
  Result<std::optional<TarEntry>> next();
  // The next piece of the current entry's content; empty at its end.
  Result<std::span<const std::byte>> data();
  // Bytes of the archive taken so far.
  std::int64_t offset() const { return offset_; }

 private:
  struct Extensions {
    std::optional<std::string> path, linkTarget;
    std::optional<std::int64_t> size, uid, gid;
    std::optional<timespec> modified;
    std::vector<std::pair<std::string, std::string>> xattrs;
  };
  struct Header;

  Result<bool> readBlock(std::span<std::byte> block);
  Result<std::span<const std::byte>> take(std::int64_t most);
  Result<void> skip(std::int64_t bytes);
  Result<std::string> readExtension(const Header& header);
  Result<void> parsePax(const std::string& body, Extensions& into);
  Result<void> paxRecord(std::string_view key, std::string_view value, Extensions& into);
  Result<void> readMeta(const Header& header, Extensions& local);
  Result<TarEntry> toEntry(const Header& header, Extensions local);
  Result<std::optional<TarEntry>> finishArchive();
  std::unexpected<Error> broken(std::string_view why) const;

  ByteSource& source_;
  std::span<const std::byte> piece_;  // rest of the source's current piece
  std::int64_t offset_ = 0;
  std::int64_t remaining_ = 0;  // of the current entry's content
  std::int64_t padding_ = 0;    // after it
  Extensions global_;
};

}  // namespace okibi::images
