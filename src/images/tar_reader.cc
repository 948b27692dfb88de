#include "images/tar_reader.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "images/image_limits.h"

namespace okibi::images {

namespace {

constexpr std::int64_t kBlock = 512;
constexpr std::int64_t kSizeMax = kLayerUnpackedMax.count();

std::string_view cString(std::string_view field) {
  return field.substr(0, field.find('\0'));
}

// Octal text, or base-256 when the first bit is set (GNU, for values that do not fit).
std::optional<std::int64_t> number(std::string_view field) {
  const auto first = static_cast<unsigned char>(field[0]);
  if (first & 0x80U) {
    const bool negative = (first & 0x40U) != 0;
    std::int64_t value = negative ? -1 : 0;
    for (std::size_t i = 0; i < field.size(); ++i) {
      auto byte = static_cast<unsigned char>(field[i]);
      if (i == 0) byte = static_cast<unsigned char>(negative ? byte | 0x80U : byte & 0x7fU);
      constexpr std::int64_t kTop = std::int64_t{1} << 54;
      if (value >= kTop || value < -kTop) return std::nullopt;
      value = value * 256 + byte;
    }
    return value;
  }
  std::string_view text = cString(field);
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  if (text.empty()) return 0;
  std::int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 8);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

std::optional<std::int64_t> decimal(std::string_view text) {
  std::int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "1350244992.023960108", "-1.5"
std::optional<timespec> paxTime(std::string_view text) {
  const std::size_t dot = text.find('.');
  std::optional<std::int64_t> seconds = decimal(text.substr(0, dot));
  if (!seconds) return std::nullopt;
  timespec time{};
  time.tv_sec = *seconds;
  if (dot == std::string_view::npos) return time;
  std::string fraction(text.substr(dot + 1, 9));
  fraction.resize(9, '0');
  std::optional<std::int64_t> nanoseconds = decimal(fraction);
  if (!nanoseconds || *nanoseconds < 0) return std::nullopt;
  time.tv_nsec = *nanoseconds;
  if (text.starts_with('-') && time.tv_nsec > 0) {
    time.tv_sec -= 1;
    time.tv_nsec = 1'000'000'000 - time.tv_nsec;
  }
  return time;
}

bool allZero(std::span<const std::byte> block) {
  return std::ranges::all_of(block, [](std::byte b) { return b == std::byte{0}; });
}

}  // namespace

// One 512-byte header, fields by their ustar offsets.
struct TarReader::Header {
  std::array<std::byte, kBlock> raw{};

  std::string_view field(std::size_t at, std::size_t length) const {
    return {reinterpret_cast<const char*>(raw.data()) + at, length};
  }
  char type() const { return static_cast<char>(raw[156]); }
  std::string_view magic() const { return field(257, 8); }
  std::string path() const {
    std::string name(cString(field(0, 100)));
    if (magic() != std::string_view("ustar\00000", 8)) return name;
    // star keeps times behind a shorter prefix.
    const std::size_t length = field(508, 4) == std::string_view("tar\0", 4) ? 131 : 155;
    const std::string_view prefix = cString(field(345, length));
    return prefix.empty() ? name : std::string(prefix) + "/" + name;
  }
  bool checksumFits() const {
    std::int64_t plain = 0, asSigned = 0;
    for (std::size_t i = 0; i < raw.size(); ++i) {
      const bool inChecksum = i >= 148 && i < 156;
      plain += inChecksum ? ' ' : static_cast<unsigned char>(raw[i]);
      asSigned += inChecksum ? ' ' : static_cast<signed char>(raw[i]);
    }
    std::optional<std::int64_t> written = number(field(148, 8));
    return written && (*written == plain || *written == asSigned);
  }
};

std::unexpected<Error> TarReader::broken(std::string_view why) const {
  return fail(ErrorKind::Invalid, fmt::format("tar archive, near byte {}: {}", offset_, why));
}

// At most `most` bytes; empty only at the end of the source.
Result<std::span<const std::byte>> TarReader::take(std::int64_t most) {
  if (piece_.empty()) {
    Result<std::span<const std::byte>> next = source_.next();
    if (!next) return next;
    piece_ = *next;
  }
  const auto length = std::min<std::size_t>(piece_.size(), static_cast<std::size_t>(most));
  std::span<const std::byte> taken = piece_.first(length);
  piece_ = piece_.subspan(length);
  offset_ += static_cast<std::int64_t>(length);
  return taken;
}

// False at the end of the source; a partial block is broken.
Result<bool> TarReader::readBlock(std::span<std::byte> block) {
  std::size_t done = 0;
  while (done < block.size()) {
    Result<std::span<const std::byte>> got = take(static_cast<std::int64_t>(block.size() - done));
    if (!got) return fail(std::move(got.error()));
    if (got->empty()) {
      if (done == 0) return false;
      return broken("it ends in the middle of a block");
    }
    std::memcpy(block.data() + done, got->data(), got->size());
    done += got->size();
  }
  return true;
}

Result<void> TarReader::skip(std::int64_t bytes) {
  while (bytes > 0) {
    Result<std::span<const std::byte>> got = take(bytes);
    if (!got) return fail(std::move(got.error()));
    if (got->empty()) return broken("it ends in the middle of an entry");
    bytes -= static_cast<std::int64_t>(got->size());
  }
  return {};
}

Result<std::span<const std::byte>> TarReader::data() {
  if (remaining_ == 0) return std::span<const std::byte>();
  Result<std::span<const std::byte>> got = take(remaining_);
  if (!got) return got;
  if (got->empty()) return broken("it ends in the middle of a file");
  remaining_ -= static_cast<std::int64_t>(got->size());
  return got;
}

Result<std::optional<TarEntry>> TarReader::finishArchive() {
  for (;;) {
    Result<std::span<const std::byte>> rest = take(std::numeric_limits<std::int64_t>::max());
    if (!rest) return fail(std::move(rest.error()));
    if (rest->empty()) return std::nullopt;
  }
}

Result<std::optional<TarEntry>> TarReader::next() {
  if (Result<void> skipped = skip(remaining_ + padding_); !skipped) {
    return fail(std::move(skipped.error()));
  }
  remaining_ = padding_ = 0;
  Extensions local = global_;
  for (;;) {
    Header header;
    Result<bool> more = readBlock(header.raw);
    if (!more) return fail(std::move(more.error()));
    // Go's and GNU's readers accept an archive without its two closing zero blocks, too.
    if (!*more || allZero(header.raw)) return finishArchive();
    if (!header.checksumFits()) return broken("the header's checksum is wrong");
    if (std::string_view("xXgLK").contains(header.type())) {
      if (Result<void> meta = readMeta(header, local); !meta) return fail(std::move(meta.error()));
      continue;
    }
    Result<TarEntry> entry = toEntry(header, std::move(local));
    if (!entry) return fail(std::move(entry.error()));
    return std::move(*entry);
  }
}

Result<std::string> TarReader::readExtension(const Header& header) {
  std::optional<std::int64_t> size = number(header.field(124, 12));
  if (!size || *size < 0) return broken("the size of an extended header is not a number");
  if (*size > kTarExtensionMax.count()) {
    return broken(fmt::format("an extended header of {} bytes; at most {} are allowed", *size,
                              kTarExtensionMax.count()));
  }
  std::string body(static_cast<std::size_t>(*size), '\0');
  Result<bool> read =
      body.empty() ? Result<bool>(true) : readBlock(std::as_writable_bytes(std::span(body)));
  if (!read) return fail(std::move(read.error()));
  if (!*read) return broken("it ends in an extended header");
  if (Result<void> skipped = skip((kBlock - *size % kBlock) % kBlock); !skipped) {
    return fail(std::move(skipped.error()));
  }
  return body;
}

Result<void> TarReader::readMeta(const Header& header, Extensions& local) {
  Result<std::string> body = readExtension(header);
  if (!body) return fail(std::move(body.error()));
  switch (header.type()) {
    case 'L':
      local.path = std::string(cString(*body));
      return {};
    case 'K':
      local.linkTarget = std::string(cString(*body));
      return {};
    case 'g': {
      Result<void> parsed = parsePax(*body, global_);
      if (parsed) local = global_;
      return parsed;
    }
    default:
      return parsePax(*body, local);
  }
}

// Records "LENGTH KEY=VALUE\n", LENGTH counting all of it.
Result<void> TarReader::parsePax(const std::string& body, Extensions& into) {
  std::string_view rest = body;
  while (!rest.empty()) {
    const std::size_t space = rest.find(' ');
    if (space == std::string_view::npos) return broken("a pax record without a length");
    std::optional<std::int64_t> length = decimal(rest.substr(0, space));
    if (!length || *length < static_cast<std::int64_t>(space) + 3 ||
        *length > static_cast<std::int64_t>(rest.size())) {
      return broken("a pax record with a wrong length");
    }
    const std::string_view record = rest.substr(0, static_cast<std::size_t>(*length));
    rest.remove_prefix(record.size());
    const std::size_t equals = record.find('=', space);
    if (record.back() != '\n' || equals == std::string_view::npos) {
      return broken("a pax record without '=' or line end");
    }
    const std::string_view key = record.substr(space + 1, equals - space - 1);
    const std::string_view value = record.substr(equals + 1, record.size() - equals - 2);
    if (Result<void> used = paxRecord(key, value, into); !used) return used;
  }
  return {};
}

Result<void> TarReader::paxRecord(std::string_view key, std::string_view value, Extensions& into) {
  constexpr std::string_view kXattr = "SCHILY.xattr.";
  if (key.starts_with("GNU.sparse.")) return broken("sparse files are not supported in layers");
  if (key == "path") {
    into.path = std::string(value);
  } else if (key == "linkpath") {
    into.linkTarget = std::string(value);
  } else if (key == "size" || key == "uid" || key == "gid") {
    std::optional<std::int64_t> parsed = decimal(value);
    if (!parsed || *parsed < 0) return broken(fmt::format("pax {} is not a number", key));
    (key == "size" ? into.size : key == "uid" ? into.uid : into.gid) = parsed;
  } else if (key == "mtime") {
    into.modified = paxTime(value);
    if (!into.modified) return broken("pax mtime is not a time");
  } else if (key.starts_with(kXattr)) {
    if (into.xattrs.size() >= kXattrsPerEntry) {
      return broken(fmt::format("more than {} extended attributes on one file", kXattrsPerEntry));
    }
    into.xattrs.emplace_back(key.substr(kXattr.size()), value);
  }
  return {};
}

namespace {

std::optional<EntryType> entryType(char type, const std::string& path) {
  switch (type) {
    case '\0':  // v7 marks directories by a slash only
      return path.ends_with('/') ? EntryType::Directory : EntryType::File;
    case '0':
    case '7':
      return EntryType::File;
    case '1':
      return EntryType::HardLink;
    case '2':
      return EntryType::Symlink;
    case '3':
      return EntryType::CharDevice;
    case '4':
      return EntryType::BlockDevice;
    case '5':
      return EntryType::Directory;
    case '6':
      return EntryType::Fifo;
    default:
      return std::nullopt;
  }
}

}  // namespace

Result<TarEntry> TarReader::toEntry(const Header& header, Extensions local) {
  TarEntry entry;
  entry.path = local.path ? std::move(*local.path) : header.path();
  entry.linkTarget = local.linkTarget ? std::move(*local.linkTarget)
                                      : std::string(cString(header.field(157, 100)));
  std::optional<EntryType> type = entryType(header.type(), entry.path);
  if (!type) {
    const bool sparse = header.type() == 'S';
    return broken(fmt::format("{}: {}", entry.path,
                              sparse ? "sparse files are not supported in layers"
                                     : "entries of this type are not supported in layers"));
  }
  entry.type = *type;
  std::optional<std::int64_t> mode = number(header.field(100, 8));
  std::optional<std::int64_t> uid = local.uid ? local.uid : number(header.field(108, 8));
  std::optional<std::int64_t> gid = local.gid ? local.gid : number(header.field(116, 8));
  std::optional<std::int64_t> size = local.size ? local.size : number(header.field(124, 12));
  std::optional<std::int64_t> seconds = number(header.field(136, 12));
  constexpr std::int64_t kIdMax = 0xfffffffe;  // the last one means "leave as it is" to chown
  if (!mode || !uid || !gid || !size || !seconds || *uid < 0 || *gid < 0 || *uid >= kIdMax ||
      *gid >= kIdMax || *size < 0 || *size > kSizeMax) {
    return broken(
        fmt::format("{}: mode, owner, size or time is not a number in range", entry.path));
  }
  entry.mode = static_cast<mode_t>(*mode & 07777);
  entry.uid = static_cast<uid_t>(*uid);
  entry.gid = static_cast<gid_t>(*gid);
  entry.modified = local.modified ? *local.modified : timespec{*seconds, 0};
  entry.xattrs = std::move(local.xattrs);
  // Only files have content, whatever size links and directories claim (as Go's reader takes it).
  if (entry.type == EntryType::File) entry.size = remaining_ = *size;
  padding_ = (kBlock - remaining_ % kBlock) % kBlock;
  return entry;
}

}  // namespace okibi::images
