#pragma once
// Exchange: one request and its answer, whatever the protocol version. The server makes it, a
// handler consumes it; it and everything it gives out are valid until the handler returns.
//
//   std::string_view piece;
//   while (!(piece = *co_await exchange.read()).empty()) …      // not reading is back-pressure
//   exchange.respond(std::move(head));                           // staged
//   co_await exchange.write(piece);                              // head and piece leave together
//   co_await exchange.finish();
//
// Loop thread only. One task may read while another writes; not two of a kind.

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/address.h"
#include "net/http.h"
#include "net/task.h"

namespace okibi::net {

class Exchange {
 public:
  virtual ~Exchange() = default;

  virtual const RequestHead& request() const = 0;
  virtual SocketAddress peer() const = 0;
  // Whether it came over TLS, and the name that was asked for then (empty: none).
  virtual bool secure() const { return false; }
  virtual std::string serverName() const { return {}; }

  // The next piece of the request body, bounded, valid until the next read(); empty: the end, now
  // and ever after. The first read sends "100 Continue" when the caller waits for it. Errors:
  // Cancelled when the caller went away or abort()/cancelRead() was called, TimedOut when he sent
  // nothing for the server's stall limit, Invalid for a broken chunk.
  virtual Task<Result<std::string_view>> read() = 0;
  // Whether the body's end has been read, and whether read() would give the next piece without
  // waiting.
  virtual bool bodyEnded() const = 0;
  virtual bool pieceIsReady() const = 0;
  // Ends a read in flight, and every later one, with Cancelled. The connection will close after the
  // answer.
  virtual void cancelRead() = 0;

  // Stages the answer's head; it leaves with the next write(), flush() or finish(). REQUIRES: once.
  virtual void respond(ResponseHead head) = 0;
  virtual bool responded() const = 0;
  // Sends what is staged now. Needed only when the first piece may be long in coming.
  virtual Task<Result<void>> flush() = 0;
  // Sends one piece; done when the peer has room for the next. Pieces for HEAD, 204, 304 are
  // dropped. Errors: Cancelled when the caller went away, TimedOut when he took nothing for the
  // stall limit.
  virtual Task<Result<void>> write(std::string_view piece) = 0;
  // Sends the last piece (which may be empty) and the end of the answer, in one write if possible.
  // REQUIRES: responded(), and exactly contentLength bytes if that was given (asserted).
  virtual Task<Result<void>> finish(std::string_view lastPiece = {}) = 0;
  virtual bool finished() const = 0;

  // Answers 101 with `head` and leaves HTTP: from then on read(), write() and finish() carry raw
  // bytes (read: empty is the peer's end; finish: sends FIN). REQUIRES: nothing responded yet.
  virtual Task<Result<void>> upgrade(ResponseHead head) = 0;

  // Breaks the connection so that the caller cannot take a cut answer for a whole one.
  virtual void abort() = 0;

  // Calls `fn` once, in a turn of its own, when the caller has closed or reset the connection (a
  // half-close counts, as in Go and nginx), even while nobody reads; no pipelined byte is lost.
  // Empty: no more calls. Never called after the handler has returned.
  virtual void onDisconnect(std::function<void()> fn) = 0;
  virtual bool callerGone() const = 0;
};

// A whole answer in one write; contentLength is set from `body`.
Task<Result<void>> answer(Exchange& exchange, ResponseHead head, std::string_view body);

}  // namespace okibi::net
