#pragma once
// From a layer blob to the bytes of its tar. Two ways: a whole gzip blob in one go (fast, result in
// memory), or a stream with a bounded number of pieces in flight between a decoding thread and the
// reader.

#include <atomic>
#include <memory>
#include <optional>
#include <span>

#include "base/result.h"
#include "base/units.h"
#include "images/digest.h"
#include "images/tar_reader.h"

namespace okibi::images {

enum class Compression { None, Gzip, Zstd };
// By magic number, as container engines do; a media type is often wrong. Error: xz, bzip2.
Result<Compression> sniffCompression(std::span<const std::byte> blob);

// Anonymous memory, huge pages where the kernel gives them.
class MemoryRegion {
 public:
  static std::optional<MemoryRegion> allocate(std::size_t size);
  MemoryRegion(MemoryRegion&& other) noexcept;
  MemoryRegion& operator=(MemoryRegion&& other) noexcept;
  ~MemoryRegion();
  std::span<std::byte> bytes() { return bytes_; }

 private:
  explicit MemoryRegion(std::span<std::byte> bytes) : bytes_(bytes) {}
  std::span<std::byte> bytes_;
};

// The whole tar of a gzip blob, if it is one member whose trailer tells a size up to `max`.
// nullopt: not that simple (several members, trailer wrong, broken), so the stream must tell what
// it is. The trailer's size is only believed as an upper bound of what is inflated.
std::optional<MemoryRegion> inflateWhole(std::span<const std::byte> blob, Bytes max);

class Decoder {
 public:
  virtual ~Decoder() = default;
  // Fills `out` as far as it can; 0: the end. Invalid: broken or cut off.
  virtual Result<std::size_t> read(std::span<std::byte> out) = 0;
  virtual std::size_t consumed() const = 0;  // bytes of the blob
};
std::unique_ptr<Decoder> makeDecoder(Compression compression, std::span<const std::byte> blob);

// Runs a decoder on a thread of its own, hashing what it gives.
class DecodedStream : public ByteSource {
 public:
  // `consumed` follows the decoder's position, for progress.
  DecodedStream(std::unique_ptr<Decoder> decoder, std::atomic<std::int64_t>& consumed);
  ~DecodedStream() override;
  Result<std::span<const std::byte>> next() override;
  // REQUIRES: next() gave the end.
  Digest digest();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// A tar that lies in memory.
class MemorySource : public ByteSource {
 public:
  explicit MemorySource(std::span<const std::byte> bytes) : bytes_(bytes) {}
  Result<std::span<const std::byte>> next() override {
    return std::exchange(bytes_, std::span<const std::byte>());
  }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace okibi::images
