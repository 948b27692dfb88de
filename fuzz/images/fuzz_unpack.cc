// A layer of a stranger, unpacked for real. Whatever it holds, nothing may change beside the
// directory it is unpacked into, and no file in it may be the one that lies beside it.

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <string>

#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "images/decompress.h"
#include "images/files.h"
#include "images/layer_writer.h"
#include "images/testing_image.h"

using namespace okibi;          // NOLINT
using namespace okibi::images;  // NOLINT

namespace {

namespace fs = std::filesystem;

Result<void> writeAll(ByteSource& source, const fs::path& root) {
  Result<net::UniqueFd> fd = openDirectory(root);
  OKIBI_CHECK(fd, "{}", fd.error().message);
  LayerWriter writer(std::move(*fd));
  TarReader reader(source);
  for (;;) {
    Result<std::optional<TarEntry>> entry = reader.next();
    if (!entry) return fail(std::move(entry.error()));
    if (!*entry) return writer.finish();
    if (Result<void> applied = writer.apply(**entry, reader); !applied) return applied;
  }
}

void unpack(std::span<const std::byte> blob, const fs::path& root) {
  Result<Compression> compression = sniffCompression(blob);
  if (!compression) return;
  if (*compression == Compression::Gzip) {
    if (std::optional<MemoryRegion> whole = inflateWhole(blob, Bytes::mib(16))) {
      MemorySource source(whole->bytes());
      (void)writeAll(source, root);
      return;
    }
  }
  std::atomic<std::int64_t> consumed = 0;
  DecodedStream source(makeDecoder(*compression, blob), consumed);
  (void)writeAll(source, root);
}

// Makes the checksums of a plain tar right again, so that mutations reach what lies behind them.
std::string withChecksums(std::string tar) {
  for (std::size_t at = 0; at + 512 <= tar.size(); at += 512) {
    if (tar.compare(at + 257, 5, "ustar") != 0) continue;
    tar.replace(at + 148, 8, "        ");
    unsigned sum = 0;
    for (std::size_t i = 0; i < 512; ++i) sum += static_cast<unsigned char>(tar[at + i]);
    tar.replace(at + 148, 7, fmt::format("{:06o}", sum) + '\0');
  }
  return tar;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const images::testing::Scratch scratch;
  const fs::path root = scratch.path() / "root", canary = scratch.path() / "canary";
  testing::writeFile(canary, "untouched");
  fs::create_directory(root);
  const std::string blob = withChecksums(std::string(reinterpret_cast<const char*>(data), size));
  unpack(std::as_bytes(std::span(blob)), root);
  OKIBI_CHECK(readFile(canary, Bytes(100)).value_or("") == "untouched");
  struct stat status{};
  OKIBI_CHECK(::stat(canary.c_str(), &status) == 0 && status.st_nlink == 1);
  std::size_t beside = 0;
  for ([[maybe_unused]] const auto& item : fs::directory_iterator(scratch.path())) ++beside;
  OKIBI_CHECK(beside == 2, "something appeared beside the root");
  OKIBI_CHECK(removeTree(root));
  return 0;
}
