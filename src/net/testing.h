#pragma once
// For net's tests: a loop that runs one task to its end, and a caller who writes raw bytes.

#include <functional>
#include <string>
#include <string_view>

#include <sys/socket.h>

#include "base/check.h"
#include "net/loop.h"
#include "net/socket.h"

namespace okibi::net::testing {

// Runs `body` (a coroutine lambda; it stays alive throughout) until it returns.
inline void runOn(Loop& loop, const std::function<Task<void>()>& body) {
  auto whole = [](Loop& l, const std::function<Task<void>()>& b) -> Task<void> {
    co_await b();
    l.stop();
  };
  loop.spawn(whole(loop, body));
  loop.run();
}

// A connected pair of stream sockets.
inline std::pair<UniqueFd, UniqueFd> socketPair() {
  int fds[2];
  OKIBI_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

class RawPeer {
 public:
  RawPeer(Loop& loop, Socket socket) : loop_(loop), socket_(std::move(socket)) {}
  static Task<RawPeer> connect(Loop& loop, SocketAddress address) {
    Result<Socket> socket = co_await Socket::open(loop, address, loop.now() + 10s);
    OKIBI_CHECK(socket.has_value());
    co_return RawPeer(loop, std::move(*socket));
  }

  Task<void> send(std::string_view text) { co_await socket_.write(text); }
  // One byte per segment, so that every boundary of a message is met.
  Task<void> sendSlowly(std::string_view text) {
    for (char c : text) {
      co_await socket_.write(std::string_view(&c, 1));
      co_await loop_.sleep(50us);
    }
  }
  // Reads until `mark` has come `times` times; what came is returned and forgotten.
  Task<std::string> readUntil(std::string mark, int times = 1) {
    for (;;) {
      std::size_t at = 0;
      int seen = 0;
      while (seen < times && (at = got_.find(mark, at)) != std::string::npos) {
        at += mark.size();
        ++seen;
      }
      if (seen == times) {
        std::string front = got_.substr(0, at);
        got_.erase(0, at);
        co_return front;
      }
      bool more = co_await readSome();
      if (!more) co_return std::exchange(got_, {}) + "<end>";
    }
  }
  // Everything until the server closes; "<reset>" is added when it broke the connection.
  Task<std::string> readToEnd() {
    for (;;) {
      bool more = co_await readSome();
      if (!more) break;
    }
    co_return std::exchange(got_, {}) + (reset_ ? "<reset>" : "");
  }
  // Counts what comes, the rest of what came before included, up to `most` or the end.
  Task<std::size_t> countToEnd(std::size_t most) {
    std::size_t count = 0;
    for (;;) {
      count += std::exchange(got_, {}).size();
      if (count >= most) co_return count;
      bool more = co_await readSome();
      if (!more) co_return count;
    }
  }
  Socket& socket() { return socket_; }

 private:
  Task<bool> readSome() {
    char buffer[16384];
    Result<std::size_t> n = co_await socket_.read(buffer);
    reset_ = !n;
    if (!n || *n == 0) co_return false;
    got_.append(buffer, *n);
    co_return true;
  }
  Loop& loop_;
  Socket socket_;
  std::string got_;
  bool reset_ = false;
};

}  // namespace okibi::net::testing
