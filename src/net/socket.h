#pragma once
// Socket: a stream socket on a loop. Listener: a listening one. FdWatcher: readiness of any
// descriptor that epoll takes (pipes, SOCK_SEQPACKET, pidfd).
//
// All of it is for the loop thread. At most one read and one write of a socket are in flight at a
// time; the two may be in flight together. cancel() and close() end what is in flight with
// Cancelled. The object may be moved while nothing is in flight, and is destroyed only then.
//
// Socket is the seam for TLS: everything above reads, writes, shuts down and closes through it.
// After secure() it carries plain text for those above and TLS for the peer.

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "base/result.h"
#include "base/units.h"
#include "net/address.h"
#include "net/fd.h"
#include "net/loop.h"
#include "net/task.h"

namespace okibi::net {

class TlsSession;  // net/tls.h

class Socket {
 public:
  // Adopts a stream socket, connected or not, of any namespace. Makes it non-blocking, TCP_NODELAY.
  Socket(Loop& loop, UniqueFd fd);
  ~Socket();
  Socket(Socket&&) noexcept;
  Socket& operator=(Socket&&) noexcept;

  // A new TCP socket in the daemon's own namespace, connected.
  static Task<Result<Socket>> open(Loop& loop, SocketAddress address, Instant deadline);

  // Connects an unconnected socket. Unavailable when refused or unreachable (the same socket may
  // try again), TimedOut at the deadline, Cancelled.
  Task<Result<void>> connect(SocketAddress address, Instant deadline);

  // The server's side of a TLS handshake. TimedOut at the deadline, Unavailable when it fails: then
  // only close() is left. REQUIRES: connected, nothing read or written yet.
  Task<Result<void>> secure(std::unique_ptr<TlsSession> session, Instant deadline);
  // nullptr: plain.
  const TlsSession* tls() const;

  // Reads what is there, at least one byte; 0 is the end of the stream. Unavailable when the
  // connection was reset.
  Task<Result<std::size_t>> read(std::span<char> into);

  // Writes everything, gathered into as few system calls as possible (at most 8 pieces; empty ones
  // are fine). The pieces must stay valid until it is done. Unavailable when the peer is gone.
  Task<Result<void>> write(std::span<const std::string_view> pieces);
  Task<Result<void>> write(std::string_view piece);

  // Sends FIN (before it, where there is TLS, close_notify); reading goes on.
  void shutdownWrite();
  void cancel();
  void close();
  // Closes with RST, so that the peer cannot take a cut answer for a whole one.
  void closeWithReset();

  bool isOpen() const;
  // True while the peer has neither closed nor sent anything unasked: an idle connection may be
  // reused.
  bool isQuiet() const;
  // True once the peer's FIN or RST has arrived, read or not.
  bool peerHasClosed() const;
  int fd() const;
  SocketAddress peer() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

class Listener {
 public:
  // Binds and listens; port 0 takes a free one. AlreadyExists when the address is taken.
  static Result<Listener> open(Loop& loop, const SocketAddress& address);
  ~Listener();
  Listener(Listener&&) noexcept;
  Listener& operator=(Listener&&) noexcept;

  SocketAddress address() const;
  // The next connection. Cancelled after close(); Exhausted when out of descriptors (wait, then
  // retry).
  Task<Result<UniqueFd>> accept();
  void close();

 private:
  struct Impl;
  explicit Listener(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

class FdWatcher {
 public:
  // Owns `fd`; makes it non-blocking.
  FdWatcher(Loop& loop, UniqueFd fd);
  ~FdWatcher();
  FdWatcher(FdWatcher&&) noexcept;
  FdWatcher& operator=(FdWatcher&&) noexcept;

  int fd() const;
  // Returns when a read (write) would not block, which includes end of file and errors. TimedOut,
  // Cancelled. Level-triggered: returns at once while unread data is there.
  Task<Result<void>> readable(Instant deadline = Instant::max());
  Task<Result<void>> writable(Instant deadline = Instant::max());
  void cancel();
  void close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace okibi::net
