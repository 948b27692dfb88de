#include "net/socket.h"

#include <array>
#include <cerrno>
#include <optional>
#include <utility>

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/check.h"
#include "net/loop_impl.h"
#include "net/tls.h"

namespace okibi::net {

namespace asio = boost::asio;
using Protocol = asio::generic::stream_protocol;

namespace {

void setNonBlocking(int fd) {
  int flags = ::fcntl(fd, F_GETFL);
  OKIBI_CHECK(flags >= 0 && ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0, "a descriptor is open");
}

int socketOption(int fd, int option) {
  int value = 0;
  socklen_t length = sizeof value;
  ::getsockopt(fd, SOL_SOCKET, option, &value, &length);
  return value;
}

std::unexpected<Error> cancelled() {
  return fail(ErrorKind::Cancelled, "the socket was cancelled");
}

std::unexpected<Error> failSocket(std::string_view what, const boost::system::error_code& error) {
  if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor) {
    return cancelled();
  }
  return failErrno(what, error.value(), ErrorKind::Unavailable);
}

short pollNow(int fd, short events) {
  pollfd p{.fd = fd, .events = events, .revents = 0};
  return ::poll(&p, 1, 0) > 0 ? p.revents : short{0};
}

// Cancels an object's operations at an instant; the timer's own handler outlives neither.
template <typename Cancellable>
class DeadlineGuard {
 public:
  DeadlineGuard(Loop& loop, Cancellable& target, Instant deadline) {
    if (deadline == Instant::max()) return;
    timer_.emplace(loop);
    timer_->schedule(deadline, [this, &target] {
      passed_ = true;
      target.cancel();
    });
  }
  bool passed() const { return passed_; }

 private:
  std::optional<Timer> timer_;
  bool passed_ = false;
};

}  // namespace

// ---- Socket

struct Socket::Impl {
  Impl(Loop& l, UniqueFd fd) : loop(l), socket(l.impl().context) {
    setNonBlocking(fd.get());
    int family = socketOption(fd.get(), SO_DOMAIN);
    isTcp = family == AF_INET || family == AF_INET6;
    if (isTcp) {
      int on = 1;
      ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    boost::system::error_code error;
    socket.assign(Protocol(family, isTcp ? IPPROTO_TCP : 0), fd.get(), error);
    OKIBI_CHECK(!error, "epoll takes every stream socket: {}", error.message());
    fd.release();
    socket.non_blocking(true, error);
  }
  void cancel() {
    boost::system::error_code ignored;
    socket.cancel(ignored);
  }
  // Waits until the session can go on.
  Task<Result<void>> await(TlsSession::Step step) {
    if (step == TlsSession::Step::Failed) co_return fail(ErrorKind::Unavailable, tls->failure());
    if (step == TlsSession::Step::Ended) {
      co_return fail(ErrorKind::Unavailable, "the peer has ended the stream");
    }
    const bool wantsRead = step == TlsSession::Step::WantsRead;
    auto [error] = co_await socket.async_wait(
        wantsRead ? Protocol::socket::wait_read : Protocol::socket::wait_write, asTuple);
    if (error) co_return failSocket("TLS", error);
    co_return Result<void>();
  }
  Task<Result<std::size_t>> readSecure(std::span<char> into);
  Task<Result<void>> writeSecure(std::string_view bytes);
  Task<Result<void>> writeSecure(std::span<const std::string_view> pieces);

  Loop& loop;
  Protocol::socket socket;
  std::unique_ptr<TlsSession> tls;  // null: plain
  bool isTcp = false;
};

// As the plain read does, it gives the loop its turn even when everything is there already.
Task<Result<std::size_t>> Socket::Impl::readSecure(std::span<char> into) {
  for (;;) {
    if (!socket.is_open()) co_return cancelled();
    std::size_t count = 0;
    const TlsSession::Step step = tls->read(into, count);
    if (step == TlsSession::Step::Done) {
      co_await asio::post(loop.impl().context, asTuple);
      co_return count;
    }
    if (step == TlsSession::Step::Ended) co_return std::size_t{0};
    Result<void> ready = co_await await(step);
    if (!ready) co_return fail(std::move(ready.error()));
  }
}

Task<Result<void>> Socket::Impl::writeSecure(std::string_view bytes) {
  while (!bytes.empty()) {
    if (!socket.is_open()) co_return cancelled();
    std::size_t count = 0;
    const TlsSession::Step step = tls->write(bytes, count);
    if (step == TlsSession::Step::Done) {
      bytes.remove_prefix(count);
      continue;
    }
    Result<void> ready = co_await await(step);
    if (!ready) co_return ready;
  }
  co_return Result<void>();
}

// Small pieces share a record; what fills one by itself goes without a copy.
Task<Result<void>> Socket::Impl::writeSecure(std::span<const std::string_view> pieces) {
  constexpr std::size_t kRecord = std::size_t{16} << 10;
  std::string record;
  for (std::string_view piece : pieces) {
    while (!piece.empty()) {
      if (record.empty() && piece.size() >= kRecord) {
        const std::size_t whole = piece.size() / kRecord * kRecord;
        Result<void> sent = co_await writeSecure(piece.substr(0, whole));
        if (!sent) co_return sent;
        piece.remove_prefix(whole);
        continue;
      }
      const std::string_view part = piece.substr(0, kRecord - record.size());
      record += part;
      piece.remove_prefix(part.size());
      if (record.size() < kRecord) continue;
      Result<void> sent = co_await writeSecure(std::string_view(record));
      if (!sent) co_return sent;
      record.clear();
    }
  }
  co_return co_await writeSecure(std::string_view(record));
}

Socket::Socket(Loop& loop, UniqueFd fd) : impl_(std::make_unique<Impl>(loop, std::move(fd))) {}
Socket::~Socket() = default;
Socket::Socket(Socket&&) noexcept = default;
Socket& Socket::operator=(Socket&&) noexcept = default;

Task<Result<Socket>> Socket::open(Loop& loop, SocketAddress address, Instant deadline) {
  UniqueFd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) co_return failErrno("socket", errno, ErrorKind::Exhausted);
  Socket socket(loop, std::move(fd));
  Result<void> connected = co_await socket.connect(address, deadline);
  if (!connected) co_return fail(std::move(connected.error()));
  co_return socket;
}

Task<Result<void>> Socket::connect(SocketAddress address, Instant deadline) {
  Impl& self = *impl_;
  auto attempt = [&] {
    int rc = 0;
    do {
      rc = ::connect(fd(), address.data(), address.size());
    } while (rc != 0 && errno == EINTR);
    return rc == 0 || errno == EISCONN ? 0 : errno;
  };
  int outcome = attempt();
  if (outcome == EINPROGRESS) {
    // Over loopback the outcome is there already.
    if (pollNow(fd(), POLLOUT) == 0) {
      DeadlineGuard guard(self.loop, self, deadline);
      auto [error] = co_await self.socket.async_wait(Protocol::socket::wait_write, asTuple);
      if (guard.passed()) co_return fail(ErrorKind::TimedOut, "connect: the deadline passed");
      if (error) co_return failSocket("connect", error);
    }
    // Asked by a second connect(), not by SO_ERROR: only that makes a refused socket fit to try
    // again.
    outcome = attempt();
  }
  if (outcome != 0) co_return failErrno("connect", outcome, ErrorKind::Unavailable);
  co_return Result<void>();
}

Task<Result<void>> Socket::secure(std::unique_ptr<TlsSession> session, Instant deadline) {
  Impl& self = *impl_;
  self.tls = std::move(session);
  DeadlineGuard guard(self.loop, self, deadline);
  for (;;) {
    const TlsSession::Step step = self.tls->handshake();
    if (step == TlsSession::Step::Done) co_return Result<void>();
    Result<void> ready = co_await self.await(step);
    if (guard.passed()) co_return fail(ErrorKind::TimedOut, "TLS: the handshake took too long");
    if (!ready) co_return ready;
  }
}

const TlsSession* Socket::tls() const {
  return impl_->tls.get();
}

Task<Result<std::size_t>> Socket::read(std::span<char> into) {
  if (impl_->tls) co_return co_await impl_->readSecure(into);
  auto [error, n] =
      co_await impl_->socket.async_read_some(asio::buffer(into.data(), into.size()), asTuple);
  if (error == asio::error::eof) co_return std::size_t{0};
  if (error) co_return failSocket("read", error);
  co_return n;
}

Task<Result<void>> Socket::write(std::span<const std::string_view> pieces) {
  OKIBI_CHECK(pieces.size() <= 8, "at most 8 pieces");
  if (impl_->tls) co_return co_await impl_->writeSecure(pieces);
  std::array<iovec, 8> vectors;
  std::size_t count = 0;
  for (std::string_view piece : pieces) {
    if (!piece.empty()) vectors[count++] = {const_cast<char*>(piece.data()), piece.size()};
  }
  iovec* next = vectors.data();
  while (count > 0) {
    if (!isOpen()) co_return cancelled();
    msghdr message{};
    message.msg_iov = next;
    message.msg_iovlen = count;
    ssize_t sent = ::sendmsg(fd(), &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) {
      auto [error] = co_await impl_->socket.async_wait(Protocol::socket::wait_write, asTuple);
      if (error) co_return failSocket("write", error);
      continue;
    }
    if (sent < 0) co_return failErrno("write", errno, ErrorKind::Unavailable);
    auto left = static_cast<std::size_t>(sent);
    for (; count > 0 && left >= next->iov_len; ++next, --count) left -= next->iov_len;
    if (count > 0) {
      next->iov_base = static_cast<char*>(next->iov_base) + left;
      next->iov_len -= left;
    }
  }
  co_return Result<void>();
}

Task<Result<void>> Socket::write(std::string_view piece) {
  co_return co_await write(std::span<const std::string_view>(&piece, 1));
}

void Socket::shutdownWrite() {
  if (!isOpen()) return;
  if (impl_->tls) impl_->tls->sayEnd();
  ::shutdown(fd(), SHUT_WR);
}
void Socket::cancel() {
  impl_->cancel();
}
void Socket::close() {
  if (impl_->tls && isOpen()) impl_->tls->sayEnd();
  boost::system::error_code ignored;
  impl_->socket.close(ignored);
}

void Socket::closeWithReset() {
  if (!isOpen()) return;
  linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  boost::system::error_code ignored;
  impl_->socket.close(ignored);  // without a word: a TLS peer takes close_notify for the end
}

bool Socket::isOpen() const {
  return impl_ && impl_->socket.is_open();
}
bool Socket::isQuiet() const {
  return isOpen() && pollNow(fd(), POLLIN | POLLRDHUP) == 0;
}
bool Socket::peerHasClosed() const {
  return !isOpen() || pollNow(fd(), POLLRDHUP) != 0;
}
int Socket::fd() const {
  return impl_->socket.native_handle();
}

SocketAddress Socket::peer() const {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  if (!isOpen() || ::getpeername(fd(), address, &length) != 0) return {};
  return SocketAddress::from(address, length);
}

// ---- FdWatcher

struct FdWatcher::Impl {
  Impl(Loop& l, UniqueFd fd) : loop(l), descriptor(l.impl().context) {
    setNonBlocking(fd.get());
    boost::system::error_code error;
    descriptor.assign(fd.get(), error);
    OKIBI_CHECK(!error, "epoll takes this kind of descriptor: {}", error.message());
    fd.release();
  }
  void cancel() {
    boost::system::error_code ignored;
    descriptor.cancel(ignored);
  }

  Task<Result<void>> wait(asio::posix::stream_descriptor::wait_type what, Instant deadline) {
    if (!descriptor.is_open()) co_return cancelled();
    DeadlineGuard guard(loop, *this, deadline);
    auto [error] = co_await descriptor.async_wait(what, asTuple);
    if (guard.passed()) co_return fail(ErrorKind::TimedOut, "the deadline passed");
    if (error) co_return failSocket("wait", error);
    co_return Result<void>();
  }

  Loop& loop;
  asio::posix::stream_descriptor descriptor;
};

FdWatcher::FdWatcher(Loop& loop, UniqueFd fd)
    : impl_(std::make_unique<Impl>(loop, std::move(fd))) {}
FdWatcher::~FdWatcher() = default;
FdWatcher::FdWatcher(FdWatcher&&) noexcept = default;
FdWatcher& FdWatcher::operator=(FdWatcher&&) noexcept = default;

int FdWatcher::fd() const {
  return impl_->descriptor.native_handle();
}
Task<Result<void>> FdWatcher::readable(Instant deadline) {
  return impl_->wait(asio::posix::stream_descriptor::wait_read, deadline);
}
Task<Result<void>> FdWatcher::writable(Instant deadline) {
  return impl_->wait(asio::posix::stream_descriptor::wait_write, deadline);
}
void FdWatcher::cancel() {
  impl_->cancel();
}
void FdWatcher::close() {
  boost::system::error_code ignored;
  impl_->descriptor.close(ignored);
}

// ---- Listener

struct Listener::Impl {
  Impl(Loop& loop, UniqueFd fd) : watcher(loop, std::move(fd)) {}
  FdWatcher watcher;
  bool closed = false;
};

Listener::Listener(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Listener::~Listener() = default;
Listener::Listener(Listener&&) noexcept = default;
Listener& Listener::operator=(Listener&&) noexcept = default;

Result<Listener> Listener::open(Loop& loop, const SocketAddress& address) {
  UniqueFd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return failErrno("socket", errno);
  int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(fd.get(), address.data(), address.size()) != 0) {
    ErrorKind kind = errno == EADDRINUSE ? ErrorKind::AlreadyExists : ErrorKind::Invalid;
    return failErrno("listen on " + address.toString(), errno, kind);
  }
  if (::listen(fd.get(), SOMAXCONN) != 0) return failErrno("listen", errno);
  return Listener(std::make_unique<Impl>(loop, std::move(fd)));
}

SocketAddress Listener::address() const {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  if (::getsockname(impl_->watcher.fd(), address, &length) != 0) return {};
  return SocketAddress::from(address, length);
}

Task<Result<UniqueFd>> Listener::accept() {
  while (!impl_->closed) {
    UniqueFd fd(::accept4(impl_->watcher.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (fd) co_return fd;
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      co_return failErrno("accept", errno, ErrorKind::Exhausted);
    }
    // Anything else is the fate of one connection that is gone already.
    if (errno == EAGAIN) {
      Result<void> ready = co_await impl_->watcher.readable();
      if (!ready) co_return fail(std::move(ready.error()));
    }
  }
  co_return cancelled();
}

void Listener::close() {
  impl_->closed = true;
  impl_->watcher.close();
}

}  // namespace okibi::net
