#include "net/http_client.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "net/http1.h"
#include "net/read_buffer.h"

namespace okibi::net {

struct HttpConnection::Impl {
  Impl(Socket s, Bytes headLimit)
      : socket(std::move(s)), limits{.fields = headLimit, .target = Bytes::kib(1)} {}

  Socket socket;
  HeadLimits limits;
  ReadBuffer in;
  HeadScanner scanner;
  ChunkDecoder chunks;
  std::string out;

  // The request
  std::string method;
  bool chunkedRequest = false;
  bool requestEnded = true;
  bool upgradeAsked = false;
  std::uint64_t requestLeft = 0;  // of a sized body

  // The answer
  bool answered = true;  // its head has been read
  bool tunnel = false;
  bool keepAlive = true;
  ResponseBody bodyKind = ResponseBody::None;
  std::uint64_t bodyLeft = 0;
  bool bodyEnded = true;
  ConnectionFault fault = ConnectionFault::None;

  std::unexpected<Error> broken(ConnectionFault why, Error error) {
    if (fault == ConnectionFault::None) fault = why;
    return okibi::fail(std::move(error));
  }
  std::unexpected<Error> bad(HttpFault why) {
    bool large = why == HttpFault::HeadersTooLarge || why == HttpFault::TargetTooLong;
    return broken(large ? ConnectionFault::HeadTooLarge : ConnectionFault::BadResponse,
                  Error{ErrorKind::Unavailable, "bad answer: " + std::string(toString(why)), {}});
  }

  // Reads more; the end of the stream is 0.
  Task<Result<std::size_t>> fill() {
    std::span<char> space = in.space();
    if (space.empty()) co_return bad(HttpFault::HeadersTooLarge);
    Result<std::size_t> n = co_await socket.read(space);
    if (n) in.filled(*n);
    co_return n;
  }

  Task<Result<void>> sendPieces(std::string_view piece, BodyEnd end);
  Result<std::string_view> takePiece();
  Result<std::string_view> endOfStream();
  std::optional<HttpFault> acceptHead(std::size_t length, ParsedResponse& parsed);
};

HttpConnection::HttpConnection(Loop&, Socket socket, Bytes headLimit)
    : impl_(std::make_unique<Impl>(std::move(socket), headLimit)) {}
HttpConnection::~HttpConnection() = default;

// ---- the request

Task<Result<void>> HttpConnection::Impl::sendPieces(std::string_view piece, BodyEnd end) {
  std::array<char, 20> sizeText;
  std::string_view size, tail;
  if (chunkedRequest && !tunnel) {
    if (!piece.empty()) {
      size = writeChunkSize(piece.size(), sizeText);
      tail = "\r\n";
    }
    if (end == BodyEnd::Complete) tail = piece.empty() ? "0\r\n\r\n" : "\r\n0\r\n\r\n";
  }
  std::array<std::string_view, 4> pieces = {out, size, piece, tail};
  Result<void> sent = co_await socket.write(pieces);
  out.clear();
  if (end == BodyEnd::Complete) requestEnded = true;
  co_return sent;
}

Task<Result<void>> HttpConnection::send(const RequestHead& head, std::string_view firstPiece,
                                        BodyEnd end) {
  Impl& self = *impl_;
  OKIBI_CHECK(self.requestEnded && self.bodyEnded && !self.tunnel, "one request at a time");
  self.method = head.method;
  self.upgradeAsked = !head.upgrade.empty();
  self.chunkedRequest = head.chunked && !head.contentLength;
  self.requestEnded = self.answered = self.bodyEnded = false;
  self.scanner.reset();
  self.out.clear();
  writeRequestHead(head, self.out);
  co_return co_await self.sendPieces(firstPiece, end);
}

Task<Result<void>> HttpConnection::write(std::string_view piece) {
  if (piece.empty()) co_return Result<void>();
  co_return co_await impl_->sendPieces(piece, BodyEnd::MoreFollows);
}

Task<Result<void>> HttpConnection::finishBody() {
  if (impl_->tunnel) {
    impl_->socket.shutdownWrite();
    co_return Result<void>();
  }
  if (impl_->requestEnded) co_return Result<void>();
  co_return co_await impl_->sendPieces({}, BodyEnd::Complete);
}

// ---- the answer

std::optional<HttpFault> HttpConnection::Impl::acceptHead(std::size_t length,
                                                          ParsedResponse& parsed) {
  auto wrong = parseResponseHead(in.view().substr(0, length), method, parsed);
  in.consume(length);
  if (wrong) return wrong;
  if (parsed.head.headers.byteCount() > limits.fields) return HttpFault::HeadersTooLarge;
  if (parsed.head.status == 101 && !upgradeAsked) return HttpFault::BadUpgrade;
  return std::nullopt;
}

Task<Result<ResponseHead>> HttpConnection::readHead() {
  Impl& self = *impl_;
  bool anything = false;
  for (;;) {
    HeadScanner::Outcome seen = self.scanner.scan(self.in.view(), self.limits);
    if (seen.fault) co_return self.bad(*seen.fault);
    anything = anything || !self.in.empty();
    if (seen.length == 0) {
      Result<std::size_t> n = co_await self.fill();
      if (n && *n > 0) continue;
      auto why = anything ? ConnectionFault::DuringResponse : ConnectionFault::BeforeResponse;
      if (!n) co_return self.broken(why, std::move(n.error()));
      co_return self.broken(why, {ErrorKind::Unavailable, "the connection was closed", {}});
    }
    ParsedResponse parsed;
    self.scanner.reset();
    if (auto wrong = self.acceptHead(seen.length, parsed)) co_return self.bad(*wrong);
    if (parsed.head.status < 200 && parsed.head.status != 101) continue;

    self.answered = true;
    self.tunnel = parsed.head.status == 101;
    self.keepAlive = parsed.head.keepAlive && !self.tunnel;
    self.bodyKind = self.tunnel ? ResponseBody::UntilClose : parsed.body;
    self.bodyLeft = parsed.head.contentLength.value_or(0);
    self.bodyEnded = self.bodyKind == ResponseBody::None;
    if (self.bodyKind == ResponseBody::Chunked) self.chunks.reset();
    co_return std::move(parsed.head);
  }
}

Result<std::string_view> HttpConnection::Impl::takePiece() {
  if (bodyKind == ResponseBody::Chunked) {
    ChunkDecoder::Outcome decoded = chunks.decode(in.span());
    in.consume(decoded.consumed);
    if (decoded.fault) return bad(*decoded.fault);
    bodyEnded = decoded.ended;
    return decoded.piece;
  }
  std::string_view piece = in.view();
  if (bodyKind == ResponseBody::Sized) {
    piece = piece.substr(0, std::min<std::uint64_t>(piece.size(), bodyLeft));
    bodyLeft -= piece.size();
    bodyEnded = bodyLeft == 0;
  }
  in.consume(piece.size());
  return piece;
}

Result<std::string_view> HttpConnection::Impl::endOfStream() {
  if (bodyKind == ResponseBody::UntilClose) {
    bodyEnded = true;
    return std::string_view();
  }
  return broken(
      ConnectionFault::DuringResponse,
      {ErrorKind::Unavailable, "the connection was closed in the middle of the answer", {}});
}

Task<Result<std::string_view>> HttpConnection::readBody() {
  Impl& self = *impl_;
  for (;;) {
    if (self.bodyEnded) co_return std::string_view();
    if (!self.in.empty()) {
      Result<std::string_view> piece = self.takePiece();
      if (!piece || !piece->empty()) co_return piece;
      if (self.bodyEnded) continue;
    }
    Result<std::size_t> n = co_await self.fill();
    if (!n) co_return self.broken(ConnectionFault::DuringResponse, std::move(n.error()));
    if (*n == 0) co_return self.endOfStream();
  }
}

bool HttpConnection::bodyEnded() const {
  return impl_->bodyEnded;
}
bool HttpConnection::pieceIsReady() const {
  return impl_->bodyEnded || !impl_->in.empty();
}
bool HttpConnection::isTunnel() const {
  return impl_->tunnel;
}
bool HttpConnection::reusable() const {
  return impl_->fault == ConnectionFault::None && impl_->requestEnded && impl_->answered &&
         impl_->bodyEnded && impl_->keepAlive && !impl_->tunnel && impl_->in.empty() &&
         impl_->socket.isOpen();
}
bool HttpConnection::isQuiet() const {
  return reusable() && impl_->socket.isQuiet();
}
ConnectionFault HttpConnection::fault() const {
  return impl_->fault;
}

void HttpConnection::cancel() {
  if (impl_->fault == ConnectionFault::None) impl_->fault = ConnectionFault::Cancelled;
  // Closing also makes sure that no later operation waits.
  impl_->socket.close();
}
void HttpConnection::close() {
  cancel();
}

}  // namespace okibi::net
