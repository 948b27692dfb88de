#include "images/layer_unpacker.h"

#include <future>
#include <optional>

#include <fmt/format.h>

#include "base/log.h"
#include "images/decompress.h"
#include "images/files.h"
#include "images/image_limits.h"
#include "images/layer_writer.h"
#include "images/tar_reader.h"

namespace okibi::images {

namespace {

using Blob = std::span<const std::byte>;

std::future<Digest> hashOnThread(Blob bytes) {
  return std::async(std::launch::async, [bytes] {
    Hasher hasher;
    hasher.update(bytes);
    return hasher.finish();
  });
}

Result<void> expectDigest(const Digest& is, const Digest& expected, std::string_view what) {
  if (is == expected) return {};
  return fail(ErrorKind::Invalid, fmt::format("corrupt: {} has digest {}, expected {}", what,
                                              is.text(), expected.text()));
}

Bytes wholeLayerBudget() {
  return std::min(kWholeLayerMax, Bytes(availableMemory().count() / 4));
}

Result<void> expectSpace(const std::filesystem::path& directory, std::size_t needed) {
  Result<Bytes> free = freeSpace(directory);
  if (!free) return fail(std::move(free.error()));
  const Bytes wanted = Bytes(static_cast<std::int64_t>(needed)) + kDiskReserve;
  if (*free >= wanted) return {};
  return fail(ErrorKind::Exhausted,
              fmt::format("disk full: unpacking needs {} MiB, {} MiB are free in {}",
                          wanted.wholeMib(), free->wholeMib(), directory.parent_path().string()));
}

template <typename OnEntry>
Result<LayerSize> writeEntries(ByteSource& source, const std::filesystem::path& directory,
                               OnEntry onEntry) {
  Result<net::UniqueFd> root = openDirectory(directory);
  if (!root) return fail(std::move(root.error()));
  LayerWriter writer(std::move(*root));
  TarReader reader(source);
  for (;;) {
    Result<std::optional<TarEntry>> entry = reader.next();
    if (!entry) return fail(std::move(entry.error()));
    if (!*entry) break;
    if (Result<void> applied = writer.apply(**entry, reader); !applied) {
      return fail(std::move(applied.error()));
    }
    if (Result<void> goOn = onEntry(reader.offset()); !goOn) return fail(std::move(goOn.error()));
  }
  if (Result<void> finished = writer.finish(); !finished) return fail(std::move(finished.error()));
  if (writer.devicesSkipped() > 0) {
    log::info("device nodes of a layer left out", "count={}", writer.devicesSkipped());
  }
  return LayerSize{Bytes(writer.bytesWritten()), writer.entries()};
}

class Unpack {
 public:
  Unpack(const LayerTask& task, const std::filesystem::path& directory, Blob blob,
         std::atomic<std::int64_t>& done, const std::atomic<bool>& stop)
      : task_(task), directory_(directory), blob_(blob), done_(done), stop_(stop) {}

  Result<LayerSize> run() {
    Result<Compression> compression = sniffCompression(blob_);
    std::future<Digest> blobDigest = hashOnThread(blob_);
    std::optional<MemoryRegion> whole;
    if (compression && *compression == Compression::Gzip) {
      whole = inflateWhole(blob_, wholeLayerBudget());
    }
    // Nothing is believed, let alone written, before the blob is known to be the right one.
    if (Result<void> same = expectDigest(blobDigest.get(), task_.digest, "the layer"); !same) {
      return fail(std::move(same.error()));
    }
    if (!compression) return fail(std::move(compression.error()));
    if (whole) return fromMemory(whole->bytes());
    if (*compression == Compression::None) return fromMemory(blob_);
    return fromStream(*compression);
  }

 private:
  Result<LayerSize> fromMemory(Blob tar) {
    if (Result<void> space = expectSpace(directory_, tar.size()); !space) {
      return fail(std::move(space.error()));
    }
    std::future<Digest> tarDigest = hashOnThread(tar);
    MemorySource source(tar);
    const double scale = static_cast<double>(blob_.size()) / static_cast<double>(tar.size() + 1);
    Result<LayerSize> size = writeEntries(source, directory_, [&](std::int64_t offset) {
      done_.store(static_cast<std::int64_t>(static_cast<double>(offset) * scale),
                  std::memory_order_relaxed);
      return goOn();
    });
    return checked(std::move(size), tarDigest.get());
  }

  Result<LayerSize> fromStream(Compression compression) {
    if (Result<void> space = expectSpace(directory_, blob_.size()); !space) {
      return fail(std::move(space.error()));
    }
    DecodedStream source(makeDecoder(compression, blob_), done_);
    Result<LayerSize> size = writeEntries(source, directory_, [&](std::int64_t) { return goOn(); });
    if (!size) return size;
    return checked(std::move(size), source.digest());
  }

  Result<void> goOn() const {
    if (stop_.load(std::memory_order_relaxed)) return fail(ErrorKind::Cancelled, "shutting down");
    return {};
  }

  Result<LayerSize> checked(Result<LayerSize> size, const Digest& tar) const {
    if (!size) return size;
    if (Result<void> same = expectDigest(tar, task_.diffId, "the layer's content (diff id)");
        !same) {
      return fail(std::move(same.error()));
    }
    return size;
  }

  const LayerTask& task_;
  const std::filesystem::path& directory_;
  Blob blob_;
  std::atomic<std::int64_t>& done_;
  const std::atomic<bool>& stop_;
};

}  // namespace

Result<LayerSize> unpackLayer(const LayerTask& task, const std::filesystem::path& directory,
                              std::atomic<std::int64_t>& done, const std::atomic<bool>& stop) {
  Result<MappedFile> blob = MappedFile::open(task.blob);
  if (!blob) return fail(withContext(std::move(blob.error()), "layer " + task.digest.text()));
  Result<LayerSize> size = Unpack(task, directory, blob->bytes(), done, stop).run();
  if (!size) return fail(withContext(std::move(size.error()), "layer " + task.digest.text()));
  done.store(static_cast<std::int64_t>(blob->bytes().size()), std::memory_order_relaxed);
  return size;
}

}  // namespace okibi::images
