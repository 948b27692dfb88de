#pragma once
// ServerConnection: the server's end of one HTTP/1 connection, and the Exchange of the request it
// is at. Inside of net.

#include <cstddef>
#include <functional>
#include <optional>
#include <string>

#include "net/exchange.h"
#include "net/hangup_watch_impl.h"
#include "net/http1.h"
#include "net/http_server.h"
#include "net/loop.h"
#include "net/read_buffer.h"
#include "net/socket.h"

namespace okibi::net {

// What connections share with their server.
struct ServerState {
  ServerState(Loop& l, HttpServerOptions o, HttpServer::Handler h)
      : loop(l), options(std::move(o)), handler(std::move(h)) {}

  Loop& loop;
  HttpServerOptions options;
  HttpServer::Handler handler;
  bool draining = false;
  std::size_t exchanges = 0;

  // The Date of an answer that leaves now, at most a second old; empty without a wall clock.
  const std::string& date();

 private:
  std::string date_;
  Instant dateUntil_{};
};

class ServerConnection final : public Exchange {
 public:
  ServerConnection(ServerState& server, Socket socket);
  ~ServerConnection() override;

  // Serves requests until either side closes.
  Task<void> serve();
  // Ends a wait that has passed its limit. Called regularly by the server.
  void checkStall(Instant now);
  // Draining: closes if no exchange is in flight.
  void closeIfIdle();
  // Tells the handler that the caller is gone.
  void hungUp();

  const RequestHead& request() const override { return head_; }
  SocketAddress peer() const override { return socket_.peer(); }
  bool secure() const override { return socket_.tls() != nullptr; }
  std::string serverName() const override;
  Task<Result<std::string_view>> read() override;
  bool bodyEnded() const override { return bodyEnded_; }
  bool pieceIsReady() const override;
  void cancelRead() override;
  void respond(ResponseHead head) override;
  bool responded() const override { return responded_; }
  Task<Result<void>> flush() override;
  Task<Result<void>> write(std::string_view piece) override;
  Task<Result<void>> finish(std::string_view lastPiece) override;
  bool finished() const override { return finished_; }
  Task<Result<void>> upgrade(ResponseHead head) override;
  void abort() override;
  void onDisconnect(std::function<void()> fn) override;
  bool callerGone() const override { return gone_ || aborted_; }

 private:
  enum class HeadEnd { Ready, Closed, Refused };

  Task<HeadEnd> readHead();
  Task<HeadEnd> refuse(HttpFault fault);
  std::optional<HttpFault> acceptHead(std::size_t length);
  void beginExchange();
  Task<void> serveOne();
  Task<void> endExchange();
  Task<void> linger();
  Task<Result<std::size_t>> fill();
  Result<std::string_view> takePiece();
  void discardBufferedBody();
  Task<Result<void>> send(std::span<const std::string_view> pieces);
  bool answersBody() const;
  void addDate(ResponseHead& head) const;

  ServerState& server_;
  Socket socket_;
  ReadBuffer in_;
  HeadScanner scanner_;
  ChunkDecoder chunks_;
  std::optional<HangupWatch::Key> hangup_;

  // The connection
  bool busy_ = false;     // an exchange is in flight
  bool closing_ = false;  // no further request on this connection
  bool gone_ = false;     // the caller closed or reset it
  bool aborted_ = false;
  bool timedOut_ = false;  // a limit ended the last wait
  Instant readLimit_ = Instant::max();
  Instant writeLimit_ = Instant::max();

  // The exchange
  RequestHead head_;
  std::uint64_t bodyLeft_ = 0;  // of a sized body
  bool bodyEnded_ = true;
  bool readCancelled_ = false;
  bool reading_ = false;
  bool bodyTouched_ = false;  // read() was called
  bool continueDue_ = false;
  bool responded_ = false, finished_ = false, upgraded_ = false, anythingSent_ = false;
  Coding coding_ = Coding::None;
  std::uint64_t answerLeft_ = 0;  // of a sized answer
  int status_ = 0;
  std::string staged_;  // the answer's head, until it is sent
  std::function<void()> onDisconnect_;
};

}  // namespace okibi::net
