#include "net/websocket.h"

#include <algorithm>
#include <array>

#include "base/encoding.h"
#include "base/random.h"

namespace okibi::net {
namespace {

constexpr int kProtocolError = 1002;
constexpr std::size_t kKeyBytes = 16;

class ExchangeTunnel final : public ByteTunnel {
 public:
  explicit ExchangeTunnel(Exchange& exchange) : exchange_(exchange) {}
  Task<Result<std::string_view>> read() override { co_return co_await exchange_.read(); }
  Task<Result<void>> write(std::string_view bytes) override {
    co_return co_await exchange_.write(bytes);
  }
  void abort() override { exchange_.abort(); }

 private:
  Exchange& exchange_;
};

class ConnectionTunnel final : public ByteTunnel {
 public:
  explicit ConnectionTunnel(HttpConnection& connection) : connection_(connection) {}
  Task<Result<std::string_view>> read() override { co_return co_await connection_.readBody(); }
  Task<Result<void>> write(std::string_view bytes) override {
    co_return co_await connection_.write(bytes);
  }
  void abort() override { connection_.cancel(); }

 private:
  HttpConnection& connection_;
};

// Against caches and proxies that take a frame's bytes for HTTP, so it must not be guessed.
std::array<char, 4> newMask() {
  const std::uint64_t bits = systemRandomBits();
  std::array<char, 4> mask;
  for (int i = 0; i < 4; ++i)
    mask[static_cast<std::size_t>(i)] = static_cast<char>(bits >> (8 * i));
  return mask;
}

Error gone() {
  return {ErrorKind::Cancelled, "the other side closed the connection", {}};
}

std::unexpected<Error> noUpgrade(std::string why) {
  return fail(ErrorKind::Invalid, std::move(why), "InvalidArgument");
}

}  // namespace

std::unique_ptr<ByteTunnel> tunnelOf(Exchange& exchange) {
  return std::make_unique<ExchangeTunnel>(exchange);
}
std::unique_ptr<ByteTunnel> tunnelOf(HttpConnection& connection) {
  return std::make_unique<ConnectionTunnel>(connection);
}

Task<Result<WebSocketPiece>> WebSocket::read() {
  for (;;) {
    if (peerClose_) co_return fail(gone());
    auto piece = decoder_.next();
    if (!piece) {
      WebSocketClose refusal{kProtocolError, std::string(piece.error().what)};
      const Error error{ErrorKind::Invalid, "WebSocket: " + refusal.reason, {}};
      co_await close(std::move(refusal));
      co_return fail(error);
    }
    if (!*piece) {
      Result<std::string_view> bytes = co_await tunnel_.read();
      if (!bytes) co_return fail(std::move(bytes.error()));
      if (bytes->empty()) co_return fail(gone());
      decoder_.feed(*bytes);
      continue;
    }
    const WebSocketPiece& next = **piece;
    if (next.opcode == WebSocketOpcode::Text || next.opcode == WebSocketOpcode::Binary) {
      co_return next;
    }
    Result<void> handled = co_await onControl(next);
    if (!handled) co_return fail(std::move(handled.error()));
  }
}

Task<Result<void>> WebSocket::onControl(const WebSocketPiece& piece) {
  if (piece.opcode == WebSocketOpcode::Pong) co_return Result<void>();
  const std::string payload(piece.bytes);
  if (piece.opcode == WebSocketOpcode::Ping) {
    // To one who has said goodbye already, silence is an answer.
    if (!closeSent_) (void)co_await write(WebSocketOpcode::Pong, payload);
    co_return Result<void>();
  }
  auto close = decodeClose(payload);
  if (!close) {
    co_await this->close({kProtocolError, std::string(close.error().what)});
    co_return fail(ErrorKind::Invalid, "WebSocket: " + std::string(close.error().what));
  }
  peerClose_ = *close;
  co_await this->close({close->code, {}});
  co_return Result<void>();
}

Task<Result<void>> WebSocket::write(WebSocketOpcode opcode, std::string_view payload) {
  co_return co_await write(opcode, {}, payload);
}

Task<Result<void>> WebSocket::write(WebSocketOpcode opcode, std::string_view front,
                                    std::string_view payload) {
  if (closeSent_) co_return fail(gone());
  co_return co_await send(opcode, front, payload);
}

Task<void> WebSocket::close(WebSocketClose close) {
  if (closeSent_) co_return;
  closeSent_ = true;
  (void)co_await send(WebSocketOpcode::Close, {}, encodeClose(close));
}

// One frame after the other.
Task<Result<void>> WebSocket::send(WebSocketOpcode opcode, std::string_view front,
                                   std::string_view payload) {
  while (writing_) {
    auto turn = std::make_shared<Event>(loop_);
    writers_.push_back(turn);
    if (Result<void> woken = co_await turn->wait(); !woken) co_return woken;
  }
  writing_ = true;
  std::optional<std::array<char, 4>> mask;
  if (role_ == WebSocketRole::Client) mask = newMask();
  std::string body(front);
  body += payload;
  if (mask) maskWebSocket(body, *mask);
  const std::string frame = webSocketHead(opcode, body.size(), mask) + body;
  Result<void> sent = co_await tunnel_.write(frame);
  writing_ = false;
  if (!writers_.empty()) {
    writers_.front()->set();
    writers_.pop_front();
  }
  co_return sent;
}

bool offersProtocol(const RequestHead& request, std::string_view protocol) {
  return request.headers.hasToken("sec-websocket-protocol", protocol);
}

Result<ResponseHead> acceptWebSocket(const RequestHead& request, std::string_view protocol) {
  if (request.method != "GET" || !equalsIgnoreCase(request.upgrade, "websocket")) {
    return noUpgrade("this is a WebSocket: the request must be a GET with Upgrade: websocket");
  }
  if (request.headers.getOr("sec-websocket-version", "") != "13") {
    return noUpgrade("Sec-WebSocket-Version: must be 13");
  }
  const std::string_view key = request.headers.getOr("sec-websocket-key", "");
  const auto bytes = fromBase64(trim(key));
  if (!bytes || bytes->size() != kKeyBytes) {
    return noUpgrade("Sec-WebSocket-Key: must be 16 bytes as base64");
  }
  ResponseHead head;
  head.headers.add("upgrade", "websocket");
  head.headers.add("sec-websocket-accept", webSocketAccept(trim(key)));
  if (!protocol.empty()) head.headers.add("sec-websocket-protocol", protocol);
  return head;
}

std::string askForWebSocket(RequestHead& request, std::string_view protocol) {
  std::string bytes;
  while (bytes.size() < kKeyBytes) bytes.push_back(static_cast<char>(systemRandomBits() >> 56));
  const std::string key = toBase64(bytes);
  request.upgrade = "websocket";
  request.headers.add("sec-websocket-version", "13");
  request.headers.add("sec-websocket-key", key);
  if (!protocol.empty()) request.headers.add("sec-websocket-protocol", protocol);
  return key;
}

Result<void> checkWebSocketAnswer(const ResponseHead& answer, std::string_view key) {
  if (answer.status == 101 &&
      answer.headers.getOr("sec-websocket-accept", "") == webSocketAccept(key)) {
    return {};
  }
  return fail(ErrorKind::Invalid, "the answer is not that of a WebSocket");
}

}  // namespace okibi::net
