#pragma once
// HttpConnection: the client's end of one HTTP/1.1 connection, to an instance or, in the CLI, to
// the daemon.
//
//   send(head, first piece) → write(piece)… → finishBody()      may overlap with
//   readHead() → readBody()… until empty                        (one task each)
//
// Then, if reusable(), the next request. Loop thread only.

#include <memory>
#include <optional>
#include <string_view>

#include "base/limits.h"
#include "base/result.h"
#include "base/units.h"
#include "net/http.h"
#include "net/loop.h"
#include "net/socket.h"
#include "net/spool.h"
#include "net/task.h"

namespace okibi::net {

// Why an exchange on a connection failed; decides whether another connection may be tried.
enum class ConnectionFault {
  None,
  BeforeResponse,  // closed or reset before any byte of an answer
  DuringResponse,  // the answer began and broke off
  BadResponse,     // not HTTP, or framing that contradicts itself
  HeadTooLarge,    // answer headers over the limit
  Cancelled,       // cancel() or close()
};

enum class BodyEnd { MoreFollows, Complete };

class HttpConnection {
 public:
  // `socket` is connected. `headLimit` is for names + values of the answer's headers.
  HttpConnection(Loop& loop, Socket socket, Bytes headLimit = limits::kResponseHeaders);
  ~HttpConnection();

  // Writes the head and the first piece of the body together. Framing follows `head` (RequestHead);
  // hop-by-hop fields among its headers are not sent, except Upgrade when head.upgrade is set.
  // REQUIRES: nothing in flight; Complete only if the body ends with `firstPiece`.
  Task<Result<void>> send(const RequestHead& head, std::string_view firstPiece = {},
                          BodyEnd end = BodyEnd::Complete);
  Task<Result<void>> write(std::string_view piece);
  Task<Result<void>> finishBody();

  // The final head: 1xx are skipped, except 101 after an upgrade was asked for.
  Task<Result<ResponseHead>> readHead();
  // The next piece, bounded, valid until the next read; empty: the end.
  Task<Result<std::string_view>> readBody();
  // True when the piece read last was the end of the body (known without another read where the
  // framing tells).
  bool bodyEnded() const;
  // True when readBody() need not wait: bytes are here already.
  bool pieceIsReady() const;

  // After a 101: write() and readBody() carry raw bytes, finishBody() sends FIN.
  bool isTunnel() const;
  // The last exchange is complete on both sides and neither side wants to close.
  bool reusable() const;
  // reusable() for the idle: the peer has neither closed nor sent anything unasked.
  bool isQuiet() const;

  ConnectionFault fault() const;
  // Ends what is in flight with Cancelled; the connection is of no further use.
  void cancel();
  void close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

struct WholeAnswer {
  ResponseHead head;
  SpooledBody body;
  Instant firstByteAt;  // when the head had arrived
};

// Sends `body` after `head` (whose contentLength is set from it) and collects the whole answer: for
// the API's invocations, hooks and the CLI. The answer may begin before the body is sent. An answer
// body over `answerLimit` gives Invalid with kBodyTooLarge. At `deadline` the connection is
// cancelled: TimedOut. `directory` is for the answer's spool.
Task<Result<WholeAnswer>> call(Loop& loop, HttpConnection& connection, RequestHead head,
                               const SpooledBody& body, Bytes answerLimit, Instant deadline,
                               std::string directory = "/tmp");

}  // namespace okibi::net
