#pragma once
// HttpServer: HTTP/1.1 and 1.0 over TCP and TLS. Keep-alive, pipelining (answered in order, one at
// a time), Expect: 100-continue, HEAD, limits and timeouts on everything, drain, lingering close.
//
// Each connection is one task; the handler runs inside it. A handler that returns without an answer
// gets a 500 sent for it; one that returns in the middle of an answer gets the connection reset.

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/limits.h"
#include "base/result.h"
#include "base/units.h"
#include "net/address.h"
#include "net/exchange.h"
#include "net/http.h"
#include "net/loop.h"
#include "net/task.h"

namespace okibi::net {

class TlsAcceptor;  // net/tls.h

// What is said to a caller whose request never became an Exchange.
struct FaultAnswer {
  ResponseHead head;
  std::string body;
};
using FaultRenderer = std::function<FaultAnswer(HttpFault)>;
// One line of text with statusOf(fault).
FaultAnswer plainFaultAnswer(HttpFault fault);

struct HttpServerOptions {
  HeadLimits head{.fields = limits::kRequestHeaders, .target = limits::kRequestTarget};
  Duration headTimeout = std::chrono::seconds(15);  // from the first byte of a head to its last
  Duration idleTimeout = std::chrono::seconds(75);  // between requests
  Duration stallTimeout =
      std::chrono::seconds(120);  // a read or write of a body without any progress
  Duration lingerTimeout =
      std::chrono::seconds(2);  // an early answer: the unread body is thrown away so long
  Duration handshakeTimeout = std::chrono::seconds(10);  // of TLS
  // Of TLS, at once; beyond, the oldest is ended. They are not among `connections` until they are
  // done.
  std::size_t handshakes = 1000;
  std::size_t connections = 10'000;  // beyond: answered TooManyConnections and closed
  FaultRenderer renderFault = plainFaultAnswer;
  // For the Date of answers (RFC 9110, 6.6.1); empty: none is sent. A date among an answer's own
  // headers stands.
  std::function<WallTime()> wallClock;
};

class HttpServer {
 public:
  using Handler = std::function<Task<void>(Exchange&)>;

  // `loop` outlives the server. The server is destroyed on the loop thread after drain(), or after
  // run() has returned for good.
  HttpServer(Loop& loop, HttpServerOptions options, Handler handler);
  ~HttpServer();

  // Binds and begins to accept. May be called for several addresses. `tls`: connections to it begin
  // with a handshake.
  Result<SocketAddress> listen(const SocketAddress& address,
                               std::shared_ptr<const TlsAcceptor> tls = nullptr);

  // Stops accepting, closes idle connections, lets exchanges in flight finish (their answers say
  // Connection: close) and at `deadline` breaks those that have not. Returns when no connection is
  // left.
  Task<void> drain(Instant deadline);

  std::size_t connectionCount() const;
  std::size_t exchangesInFlight() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace okibi::net
