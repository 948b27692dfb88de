#include "net/server_connection.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "base/log.h"
#include "net/loop_impl.h"
#include "net/tls.h"

namespace okibi::net {

ServerConnection::ServerConnection(ServerState& server, Socket socket)
    : server_(server), socket_(std::move(socket)) {}

std::string ServerConnection::serverName() const {
  return socket_.tls() != nullptr ? socket_.tls()->serverName() : std::string();
}

ServerConnection::~ServerConnection() {
  if (hangup_) server_.loop.impl().hangups.forget(*hangup_);
}

Task<void> ServerConnection::serve() {
  while (!closing_) {
    HeadEnd end = co_await readHead();
    if (end == HeadEnd::Refused) co_await linger();
    if (end != HeadEnd::Ready) break;
    co_await serveOne();
  }
  if (hangup_) server_.loop.impl().hangups.forget(*hangup_);
  hangup_.reset();
  socket_.close();
}

Task<void> ServerConnection::serveOne() {
  beginExchange();
  ++server_.exchanges;
  co_await server_.handler(*this);
  co_await endExchange();
  --server_.exchanges;
  busy_ = false;
}

// ---- the request head

Task<Result<std::size_t>> ServerConnection::fill() {
  std::span<char> space = in_.space();
  if (space.empty()) co_return fail(ErrorKind::Invalid, "more than the buffer holds");
  Result<std::size_t> n = co_await socket_.read(space);
  readLimit_ = Instant::max();
  if (n) in_.filled(*n);
  co_return n;
}

Task<ServerConnection::HeadEnd> ServerConnection::readHead() {
  scanner_.reset();
  bool begun = false;  // the limit for the head counts from its first byte
  Instant limit = server_.loop.now() + server_.options.idleTimeout;
  for (;;) {
    // An empty line left over from the request before is skipped (RFC 9112, 2.2).
    while (in_.view().starts_with("\r\n")) in_.consume(2);
    HeadScanner::Outcome seen = scanner_.scan(in_.view(), server_.options.head);
    if (!seen.fault && seen.length > 0) {
      seen.fault = acceptHead(seen.length);
      if (!seen.fault) co_return HeadEnd::Ready;
    }
    if (seen.fault) co_return co_await refuse(*seen.fault);
    if (server_.draining && in_.empty()) co_return HeadEnd::Closed;
    if (!begun && !in_.empty()) {
      begun = true;
      limit = server_.loop.now() + server_.options.headTimeout;
    }
    readLimit_ = limit;
    timedOut_ = false;
    Result<std::size_t> n = co_await fill();
    if (n && *n > 0) continue;
    if (timedOut_ && begun) co_return co_await refuse(HttpFault::HeadTimeout);
    co_return HeadEnd::Closed;
  }
}

std::optional<HttpFault> ServerConnection::acceptHead(std::size_t length) {
  auto fault = parseRequestHead(in_.view().substr(0, length), head_);
  in_.consume(length);
  if (fault) return fault;
  return checkRequestHead(head_, server_.options.head);
}

Task<ServerConnection::HeadEnd> ServerConnection::refuse(HttpFault fault) {
  FaultAnswer answer = server_.options.renderFault(fault);
  answer.head.contentLength = answer.body.size();
  addDate(answer.head);
  std::string text;
  writeResponseHead(answer.head, Coding::Sized, Persistence::Close, text);
  text += answer.body;
  writeLimit_ = server_.loop.now() + server_.options.lingerTimeout;
  co_await socket_.write(text);
  writeLimit_ = Instant::max();
  co_return HeadEnd::Refused;
}

void ServerConnection::beginExchange() {
  busy_ = true;
  closing_ = !head_.keepAlive;
  bodyLeft_ = head_.contentLength.value_or(0);
  bodyEnded_ = !head_.hasBody();
  if (head_.chunked) chunks_.reset();
  continueDue_ = head_.expectsContinue && in_.empty();
  readCancelled_ = reading_ = bodyTouched_ = false;
  responded_ = finished_ = upgraded_ = anythingSent_ = false;
  coding_ = Coding::None;
  answerLeft_ = 0;
  staged_.clear();
}

// ---- the request body

bool ServerConnection::pieceIsReady() const {
  return bodyEnded_ || !in_.empty();
}

Result<std::string_view> ServerConnection::takePiece() {
  if (upgraded_) {
    std::string_view all = in_.view();
    in_.consume(all.size());
    return all;
  }
  if (head_.chunked) {
    ChunkDecoder::Outcome decoded = chunks_.decode(in_.span());
    in_.consume(decoded.consumed);
    if (decoded.fault) {
      closing_ = true;
      return fail(ErrorKind::Invalid, std::string(toString(*decoded.fault)));
    }
    bodyEnded_ = decoded.ended;
    return decoded.piece;
  }
  std::string_view piece = in_.view();
  piece = piece.substr(0, std::min<std::uint64_t>(piece.size(), bodyLeft_));
  in_.consume(piece.size());
  bodyLeft_ -= piece.size();
  bodyEnded_ = bodyLeft_ == 0;
  return piece;
}

Task<Result<std::string_view>> ServerConnection::read() {
  bodyTouched_ = true;
  if (continueDue_ && !responded_) {
    continueDue_ = false;
    Result<void> sent = co_await socket_.write("HTTP/1.1 100 Continue\r\n\r\n");
    if (!sent) co_return fail(std::move(sent.error()));
  }
  for (;;) {
    if (readCancelled_ || aborted_) co_return fail(ErrorKind::Cancelled, "reading was cancelled");
    if (bodyEnded_) co_return std::string_view();
    if (!in_.empty()) {
      Result<std::string_view> piece = takePiece();
      if (!piece || !piece->empty()) co_return piece;
      if (bodyEnded_) co_return std::string_view();
    }
    // A tunnel may be silent for as long as it lives.
    if (!upgraded_) readLimit_ = server_.loop.now() + server_.options.stallTimeout;
    reading_ = true;
    timedOut_ = false;
    Result<std::size_t> n = co_await fill();
    reading_ = false;
    if (n && *n > 0) continue;
    if (n && upgraded_) bodyEnded_ = true;
    if (n && upgraded_) continue;
    closing_ = true;
    if (readCancelled_ || aborted_) continue;
    if (timedOut_) co_return fail(ErrorKind::TimedOut, "the caller stopped sending");
    if (!n && n.error().kind == ErrorKind::Invalid) co_return fail(std::move(n.error()));
    gone_ = true;
    co_return fail(ErrorKind::Cancelled, "the caller closed the connection");
  }
}

void ServerConnection::cancelRead() {
  if (bodyEnded_ && !upgraded_) return;
  readCancelled_ = true;
  closing_ = true;
  if (reading_) socket_.cancel();
}

// A body that nobody read but that is here already need not cost the connection.
void ServerConnection::discardBufferedBody() {
  if (bodyTouched_ || upgraded_) return;
  while (!bodyEnded_ && !in_.empty()) {
    Result<std::string_view> piece = takePiece();
    if (!piece || piece->empty()) break;
  }
}

// ---- the answer

bool ServerConnection::answersBody() const {
  return head_.method != "HEAD" && status_ >= 200 && status_ != 204 && status_ != 304;
}

void ServerConnection::addDate(ResponseHead& head) const {
  const std::string& date = server_.date();
  if (!date.empty() && !head.headers.has("date")) head.headers.add("date", date);
}

void ServerConnection::respond(ResponseHead head) {
  OKIBI_CHECK(!responded_, "an exchange is answered once");
  responded_ = true;
  status_ = head.status;
  discardBufferedBody();
  if (!bodyEnded_ || server_.draining) closing_ = true;
  bool modern = head_.version == HttpVersion::Http11;
  bool mayHaveLength = head.status >= 200 && head.status != 204;
  if (head.contentLength && mayHaveLength) {
    coding_ = Coding::Sized;
    answerLeft_ = answersBody() ? *head.contentLength : 0;
  } else if (answersBody() || (head_.method == "HEAD" && mayHaveLength)) {
    coding_ = modern ? Coding::Chunked : Coding::None;
    if (!modern) closing_ = true;  // the end of the connection is the end of the body
  }
  addDate(head);
  Persistence persistence = closing_ ? Persistence::Close : Persistence::KeepAlive;
  writeResponseHead(head, coding_, persistence, staged_);
  if (!answersBody() && coding_ == Coding::Chunked) coding_ = Coding::None;
}

Task<Result<void>> ServerConnection::send(std::span<const std::string_view> pieces) {
  if (aborted_) co_return fail(ErrorKind::Cancelled, "the exchange was aborted");
  anythingSent_ = true;
  writeLimit_ = server_.loop.now() + server_.options.stallTimeout;
  Result<void> sent = co_await socket_.write(pieces);
  bool late = server_.loop.now() >= writeLimit_;
  writeLimit_ = Instant::max();
  staged_.clear();
  if (sent) co_return sent;
  closing_ = true;
  if (late && !aborted_) co_return fail(ErrorKind::TimedOut, "the caller stopped reading");
  gone_ = true;
  co_return fail(ErrorKind::Cancelled, "the caller closed the connection");
}

Task<Result<void>> ServerConnection::flush() {
  if (staged_.empty()) co_return Result<void>();
  std::array<std::string_view, 1> pieces = {staged_};
  co_return co_await send(pieces);
}

Task<Result<void>> ServerConnection::write(std::string_view piece) {
  OKIBI_CHECK(responded_ && !finished_, "write() between respond() and finish()");
  if (!upgraded_ && !answersBody()) piece = {};
  if (piece.empty()) co_return co_await flush();
  if (coding_ == Coding::Sized) {
    OKIBI_CHECK(piece.size() <= answerLeft_, "more than contentLength was written");
    answerLeft_ -= piece.size();
  }
  std::array<char, 20> sizeText;
  std::string_view size, end;
  if (coding_ == Coding::Chunked) {
    size = writeChunkSize(piece.size(), sizeText);
    end = "\r\n";
  }
  std::array<std::string_view, 4> pieces = {staged_, size, piece, end};
  co_return co_await send(pieces);
}

Task<Result<void>> ServerConnection::finish(std::string_view lastPiece) {
  OKIBI_CHECK(responded_ && !finished_, "finish() once, after respond()");
  finished_ = true;
  if (upgraded_) {
    Result<void> sent;
    if (!lastPiece.empty()) sent = co_await socket_.write(lastPiece);
    socket_.shutdownWrite();
    co_return sent;
  }
  if (!answersBody()) lastPiece = {};
  if (coding_ == Coding::Sized) {
    OKIBI_CHECK(lastPiece.size() == answerLeft_, "{} bytes of contentLength are missing",
                answerLeft_ - lastPiece.size());
    answerLeft_ = 0;
  }
  std::array<char, 20> sizeText;
  std::string_view size, end;
  if (coding_ == Coding::Chunked) {
    if (!lastPiece.empty()) size = writeChunkSize(lastPiece.size(), sizeText);
    end = lastPiece.empty() ? "0\r\n\r\n" : "\r\n0\r\n\r\n";
  }
  std::array<std::string_view, 4> pieces = {staged_, size, lastPiece, end};
  co_return co_await send(pieces);
}

Task<Result<void>> ServerConnection::upgrade(ResponseHead head) {
  OKIBI_CHECK(!responded_, "an exchange is answered once");
  responded_ = upgraded_ = closing_ = true;
  bodyEnded_ = false;
  head.status = status_ = 101;
  writeResponseHead(head, Coding::None, Persistence::KeepAlive, staged_);
  co_return co_await flush();
}

void ServerConnection::abort() {
  aborted_ = closing_ = true;
  // Before the descriptor's number can become somebody else's.
  if (hangup_) server_.loop.impl().hangups.forget(*hangup_);
  hangup_.reset();
  socket_.closeWithReset();
}

Task<void> ServerConnection::endExchange() {
  onDisconnect_ = nullptr;
  if (!responded_ && !callerGone()) {
    log::error("a request was not answered", "method={} target={}", head_.method, head_.target);
    FaultAnswer silent = server_.options.renderFault(HttpFault::NoAnswer);
    co_await answer(*this, std::move(silent.head), silent.body);
  }
  if (gone_) closing_ = closing_ || !finished_;
  if (aborted_ || upgraded_) co_return;
  if (responded_ && !finished_) {
    abort();
    co_return;
  }
  if (!bodyEnded_) {
    closing_ = true;
    if (!gone_) co_await linger();
  }
}

// An answer that leaves before the body has been read must not be followed by a reset, which would
// take it from the caller's hands: FIN, then the rest is read and thrown away for a while.
Task<void> ServerConnection::linger() {
  socket_.shutdownWrite();
  readLimit_ = server_.loop.now() + server_.options.lingerTimeout;
  Instant end = readLimit_;
  for (;;) {
    in_.consume(in_.view().size());
    readLimit_ = end;
    Result<std::size_t> n = co_await fill();
    if (!n || *n == 0 || server_.loop.now() >= end) break;
  }
}

// ---- limits and disconnects

void ServerConnection::checkStall(Instant now) {
  if (now < readLimit_ && now < writeLimit_) return;
  if (now >= readLimit_) timedOut_ = true;
  socket_.cancel();
}

void ServerConnection::closeIfIdle() {
  if (!busy_ && in_.empty()) socket_.cancel();
}

void ServerConnection::hungUp() {
  gone_ = true;
  std::function<void()> fn = std::exchange(onDisconnect_, nullptr);
  if (fn) fn();
}

void ServerConnection::onDisconnect(std::function<void()> fn) {
  onDisconnect_ = std::move(fn);
  if (!onDisconnect_ || aborted_) return;
  // Edge-triggered, once in the connection's life: a hang-up that is there already is reported as
  // well.
  if (!hangup_) {
    hangup_ = server_.loop.impl().hangups.watch(socket_.fd(), [this] { hungUp(); });
  } else if (gone_) {
    HangupWatch& watch = server_.loop.impl().hangups;
    watch.forget(*hangup_);
    hangup_ = watch.watch(socket_.fd(), [this] { hungUp(); });
  }
}

Task<Result<void>> answer(Exchange& exchange, ResponseHead head, std::string_view body) {
  head.contentLength = body.size();
  exchange.respond(std::move(head));
  // For HEAD and the like the length stays and the body goes.
  co_return co_await exchange.finish(body);
}

}  // namespace okibi::net
