#include "images/decompress.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include <libdeflate.h>
#include <sys/mman.h>
#include <zlib.h>
#include <zstd.h>

#include "base/check.h"

namespace okibi::images {

namespace {

constexpr std::size_t kPiece = 1 << 20;
constexpr std::size_t kPiecesInFlight = 4;
// Deflate cannot expand more than 1032 to 1; a trailer that claims more is wrong.
constexpr std::uint64_t kDeflateRatioMax = 1032;

bool startsWith(std::span<const std::byte> blob, std::string_view magic) {
  return blob.size() >= magic.size() && std::memcmp(blob.data(), magic.data(), magic.size()) == 0;
}

bool isZstd(std::span<const std::byte> blob) {
  if (startsWith(blob, "\x28\xb5\x2f\xfd")) return true;
  // A skippable frame may come first (zstd:chunked).
  return blob.size() >= 4 && (std::to_integer<int>(blob[0]) & 0xf0) == 0x50 &&
         startsWith(blob.subspan(1), "\x2a\x4d\x18");
}

class PlainDecoder : public Decoder {
 public:
  explicit PlainDecoder(std::span<const std::byte> blob) : blob_(blob) {}
  Result<std::size_t> read(std::span<std::byte> out) override {
    const std::size_t length = std::min(out.size(), blob_.size() - consumed_);
    if (length > 0) std::memcpy(out.data(), blob_.data() + consumed_, length);
    consumed_ += length;
    return length;
  }
  std::size_t consumed() const override { return consumed_; }

 private:
  std::span<const std::byte> blob_;
  std::size_t consumed_ = 0;
};

class GzipDecoder : public Decoder {
 public:
  explicit GzipDecoder(std::span<const std::byte> blob) : blob_(blob) {
    OKIBI_CHECK(::inflateInit2(&stream_, 16 + MAX_WBITS) == Z_OK, "zlib does not start");
  }
  ~GzipDecoder() override { ::inflateEnd(&stream_); }

  Result<std::size_t> read(std::span<std::byte> out) override {
    std::size_t done = 0;
    while (done < out.size() && !ended_) {
      const std::size_t in = std::min<std::size_t>(blob_.size() - consumed_, 1U << 30);
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(blob_.data() + consumed_));
      stream_.avail_in = static_cast<uInt>(in);
      stream_.next_out = reinterpret_cast<Bytef*>(out.data() + done);
      stream_.avail_out = static_cast<uInt>(out.size() - done);
      const int code = ::inflate(&stream_, Z_NO_FLUSH);
      consumed_ += in - stream_.avail_in;
      done = out.size() - stream_.avail_out;
      if (code == Z_STREAM_END) {
        if (Result<void> next = nextMember(); !next) return fail(std::move(next.error()));
      } else if (code == Z_BUF_ERROR && consumed_ == blob_.size()) {
        return fail(ErrorKind::Invalid, "the gzip stream is cut off");
      } else if (code != Z_OK) {
        return fail(ErrorKind::Invalid, "the gzip stream is corrupt");
      }
    }
    return done;
  }
  std::size_t consumed() const override { return consumed_; }

 private:
  // Members may follow each other; zeros at the end are padding.
  Result<void> nextMember() {
    std::span<const std::byte> rest = blob_.subspan(consumed_);
    if (startsWith(rest, "\x1f\x8b")) {
      ::inflateReset(&stream_);
      return {};
    }
    if (std::ranges::any_of(rest, [](std::byte b) { return b != std::byte{0}; })) {
      return fail(ErrorKind::Invalid, "the gzip stream is followed by something else");
    }
    ended_ = true;
    return {};
  }

  std::span<const std::byte> blob_;
  std::size_t consumed_ = 0;
  z_stream stream_{};
  bool ended_ = false;
};

class ZstdDecoder : public Decoder {
 public:
  explicit ZstdDecoder(std::span<const std::byte> blob)
      : blob_(blob), stream_(::ZSTD_createDStream()) {
    OKIBI_CHECK(stream_ != nullptr, "zstd does not start");
    // The encoder's window is memory here: 128 MiB is what `zstd --ultra` may ask of a reader.
    ::ZSTD_DCtx_setParameter(stream_, ZSTD_d_windowLogMax, 27);
  }
  ~ZstdDecoder() override { ::ZSTD_freeDStream(stream_); }

  Result<std::size_t> read(std::span<std::byte> out) override {
    ZSTD_inBuffer in{blob_.data(), blob_.size(), consumed_};
    ZSTD_outBuffer result{out.data(), out.size(), 0};
    while (result.pos < result.size) {
      const std::size_t before = in.pos, given = result.pos;
      const std::size_t code = ::ZSTD_decompressStream(stream_, &result, &in);
      consumed_ = in.pos;
      if (::ZSTD_isError(code) != 0U) {
        return fail(ErrorKind::Invalid,
                    std::string("the zstd stream is corrupt: ") + ::ZSTD_getErrorName(code));
      }
      // Without progress the code speaks of a next frame, which need not come.
      if (in.pos == before && result.pos == given) break;
      frameOpen_ = code != 0;
    }
    if (result.pos == 0 && frameOpen_) {
      return fail(ErrorKind::Invalid, "the zstd stream is cut off");
    }
    return result.pos;
  }
  std::size_t consumed() const override { return consumed_; }

 private:
  std::span<const std::byte> blob_;
  ZSTD_DStream* stream_;
  std::size_t consumed_ = 0;
  bool frameOpen_ = true;
};

}  // namespace

Result<Compression> sniffCompression(std::span<const std::byte> blob) {
  if (startsWith(blob, "\x1f\x8b")) return Compression::Gzip;
  if (isZstd(blob)) return Compression::Zstd;
  if (startsWith(blob, std::string_view("\xfd"
                                        "7zXZ\0",
                                        6)) ||
      startsWith(blob, "BZh")) {
    return fail(ErrorKind::Invalid, "layers compressed by xz or bzip2 are not supported");
  }
  return Compression::None;
}

std::optional<MemoryRegion> MemoryRegion::allocate(std::size_t size) {
  void* address = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED) return std::nullopt;
  ::madvise(address, size, MADV_HUGEPAGE);  // a hint: one fault per 2 MiB
  return MemoryRegion({static_cast<std::byte*>(address), size});
}

MemoryRegion::MemoryRegion(MemoryRegion&& other) noexcept
    : bytes_(std::exchange(other.bytes_, {})) {}

MemoryRegion& MemoryRegion::operator=(MemoryRegion&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

MemoryRegion::~MemoryRegion() {
  if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
}

std::optional<MemoryRegion> inflateWhole(std::span<const std::byte> blob, Bytes max) {
  if (blob.size() < 18) return std::nullopt;
  std::uint32_t claimed = 0;  // little endian, modulo 2^32
  for (int i = 3; i >= 0; --i) {
    claimed = claimed << 8 | std::to_integer<std::uint32_t>(blob[blob.size() - 4 + i]);
  }
  if (claimed == 0 || claimed > max.count() || claimed / kDeflateRatioMax > blob.size()) {
    return std::nullopt;
  }
  std::optional<MemoryRegion> region = MemoryRegion::allocate(claimed);
  if (!region) return std::nullopt;
  std::unique_ptr<libdeflate_decompressor, decltype(&libdeflate_free_decompressor)> decompressor(
      libdeflate_alloc_decompressor(), &libdeflate_free_decompressor);
  if (!decompressor) return std::nullopt;
  std::size_t taken = 0, given = 0;
  const libdeflate_result result =
      libdeflate_gzip_decompress_ex(decompressor.get(), blob.data(), blob.size(),
                                    region->bytes().data(), claimed, &taken, &given);
  if (result != LIBDEFLATE_SUCCESS || taken != blob.size() || given != claimed) return std::nullopt;
  return region;
}

std::unique_ptr<Decoder> makeDecoder(Compression compression, std::span<const std::byte> blob) {
  switch (compression) {
    case Compression::Gzip:
      return std::make_unique<GzipDecoder>(blob);
    case Compression::Zstd:
      return std::make_unique<ZstdDecoder>(blob);
    case Compression::None:
      break;
  }
  return std::make_unique<PlainDecoder>(blob);
}

struct DecodedStream::State {
  std::unique_ptr<Decoder> decoder;
  std::atomic<std::int64_t>& consumed;
  Hasher hasher;  // the decoding thread's until it ends
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::vector<std::byte>> ready;
  std::vector<std::vector<std::byte>> spare;
  std::vector<std::byte> current;  // the reader's
  std::optional<Error> error;
  bool ended = false, abandoned = false;
  std::thread thread;

  State(std::unique_ptr<Decoder> d, std::atomic<std::int64_t>& c)
      : decoder(std::move(d)), consumed(c) {}

  // False: the reader has gone.
  bool waitForRoom(std::vector<std::byte>& piece) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return abandoned || ready.size() < kPiecesInFlight; });
    if (abandoned) return false;
    if (!spare.empty()) {
      piece = std::move(spare.back());
      spare.pop_back();
    }
    return true;
  }

  void end(std::optional<Error> why) {
    std::lock_guard lock(mutex);
    error = std::move(why);
    ended = true;
    changed.notify_all();
  }

  void decode() {
    for (;;) {
      std::vector<std::byte> piece;
      if (!waitForRoom(piece)) return;
      piece.resize(kPiece);
      Result<std::size_t> got = decoder->read(piece);
      if (!got) return end(std::move(got.error()));
      consumed.store(static_cast<std::int64_t>(decoder->consumed()), std::memory_order_relaxed);
      if (*got == 0) return end(std::nullopt);
      piece.resize(*got);
      hasher.update(piece);
      std::lock_guard lock(mutex);
      ready.push_back(std::move(piece));
      changed.notify_all();
    }
  }
};

DecodedStream::DecodedStream(std::unique_ptr<Decoder> decoder, std::atomic<std::int64_t>& consumed)
    : state_(std::make_unique<State>(std::move(decoder), consumed)) {
  state_->thread = std::thread([state = state_.get()] { state->decode(); });
}

DecodedStream::~DecodedStream() {
  {
    std::lock_guard lock(state_->mutex);
    state_->abandoned = true;
    state_->changed.notify_all();
  }
  if (state_->thread.joinable()) state_->thread.join();
}

Result<std::span<const std::byte>> DecodedStream::next() {
  std::unique_lock lock(state_->mutex);
  if (!state_->current.empty()) state_->spare.push_back(std::move(state_->current));
  state_->current = {};
  state_->changed.wait(lock, [&] { return state_->ended || !state_->ready.empty(); });
  if (state_->ready.empty()) {
    if (state_->error) return fail(*state_->error);
    return std::span<const std::byte>();
  }
  state_->current = std::move(state_->ready.front());
  state_->ready.pop_front();
  state_->changed.notify_all();
  return std::span<const std::byte>(state_->current);
}

Digest DecodedStream::digest() {
  state_->thread.join();
  return state_->hasher.finish();
}

}  // namespace okibi::images
