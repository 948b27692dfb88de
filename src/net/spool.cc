#include "net/spool.h"

#include <cerrno>
#include <cstdlib>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace okibi::net {

namespace {

constexpr std::size_t kPiece = std::size_t{64} << 10;

Result<UniqueFd> namelessFile(const std::string& directory) {
  UniqueFd fd(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (fd) return fd;
  // Not every file system has O_TMPFILE.
  std::string path = directory + "/okibi-spool-XXXXXX";
  fd.reset(::mkostemp(path.data(), O_CLOEXEC));
  if (!fd) return failErrno("spool file in " + directory, errno);
  ::unlink(path.c_str());
  return fd;
}

Result<void> writeAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failErrno("spool file", errno);
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

}  // namespace

Result<std::string_view> SpooledBody::Reader::next() {
  if (!body_->file_) {
    std::string_view piece = std::string_view(body_->memory_).substr(offset_, kPiece);
    offset_ += piece.size();
    return piece;
  }
  if (offset_ >= body_->size_) return std::string_view();
  buffer_.resize(kPiece);
  ssize_t n = 0;
  do {
    n = ::pread(body_->file_.get(), buffer_.data(), kPiece, static_cast<off_t>(offset_));
  } while (n < 0 && errno == EINTR);
  if (n < 0) return failErrno("spool file", errno);
  if (n == 0) return fail(ErrorKind::Internal, "the spool file is shorter than what was written");
  offset_ += static_cast<std::uint64_t>(n);
  return std::string_view(buffer_).substr(0, static_cast<std::size_t>(n));
}

Result<std::string> SpooledBody::text() const {
  std::string all;
  all.reserve(size_);
  Reader reader(*this);
  for (;;) {
    Result<std::string_view> piece = reader.next();
    if (!piece) return fail(std::move(piece.error()));
    if (piece->empty()) return all;
    all += *piece;
  }
}

Spool::Spool(Bytes limit, std::string directory)
    : limit_(limit), directory_(std::move(directory)) {}

Result<void> Spool::moveToFile() {
  Result<UniqueFd> file = namelessFile(directory_);
  if (!file) return fail(std::move(file.error()));
  Result<void> written = writeAll(file->get(), body_.memory_);
  if (!written) return written;
  body_.file_ = std::move(*file);
  body_.memory_ = std::string();
  return {};
}

Result<void> Spool::append(std::string_view piece) {
  std::uint64_t size = body_.size_ + piece.size();
  if (std::cmp_greater(size, limit_.count())) {
    return fail(ErrorKind::Invalid,
                "the body is over the limit of " + std::to_string(limit_.count()) + " bytes",
                std::string(kBodyTooLarge));
  }
  if (!body_.file_ && std::cmp_greater(size, limits::kSpoolMemory.count())) {
    Result<void> moved = moveToFile();
    if (!moved) return moved;
  }
  if (body_.file_) {
    Result<void> written = writeAll(body_.file_.get(), piece);
    if (!written) return written;
  } else {
    body_.memory_ += piece;
  }
  body_.size_ = size;
  return {};
}

Task<Result<SpooledBody>> readBody(Exchange& exchange, Bytes limit, std::string directory) {
  auto announced = exchange.request().contentLength;
  if (announced && std::cmp_greater(*announced, limit.count())) {
    co_return fail(ErrorKind::Invalid,
                   "the body of " + std::to_string(*announced) + " bytes is over the limit of " +
                       std::to_string(limit.count()),
                   std::string(kBodyTooLarge));
  }
  Spool spool(limit, std::move(directory));
  for (;;) {
    Result<std::string_view> piece = co_await exchange.read();
    if (!piece) co_return fail(std::move(piece.error()));
    if (piece->empty()) co_return spool.take();
    Result<void> kept = spool.append(*piece);
    if (!kept) co_return fail(std::move(kept.error()));
  }
}

}  // namespace okibi::net
