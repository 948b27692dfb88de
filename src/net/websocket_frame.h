#pragma once
// The frames of WebSocket (RFC 6455), as bytes: pure. A message's payload is given out as it comes,
// however large the message is; control frames are given whole.
//
// Strict: no extensions, so reserved bits and opcodes are faults; whoever serves demands masks, a
// client refuses them; control frames are whole and short; lengths are written the shortest way.
// Text is not checked to be UTF-8: that is left to whoever reads it as text.

#include <array>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace okibi::net {

enum class WebSocketRole { Server, Client };

enum class WebSocketOpcode : std::uint8_t {
  Continuation = 0,
  Text = 1,
  Binary = 2,
  Close = 8,
  Ping = 9,
  Pong = 10
};

inline constexpr std::size_t kWebSocketControlMost = 125;

// What was wrong; the connection is to be closed with 1002.
struct WebSocketFault {
  std::string_view what;
};

struct WebSocketPiece {
  WebSocketOpcode opcode = WebSocketOpcode::Binary;  // of its message; never Continuation
  std::string_view bytes;                            // valid until the next call
  bool last = true;                                  // the message ends with it
};

class WebSocketDecoder {
 public:
  // `role`: of the side that reads.
  explicit WebSocketDecoder(WebSocketRole role) : role_(role) {}

  // Takes what has come. REQUIRES: next() has given nullopt (or this is the first).
  void feed(std::string_view bytes);
  // The next piece; nullopt: more is needed. After a fault there is nothing more.
  std::expected<std::optional<WebSocketPiece>, WebSocketFault> next();
  // Whether all that was fed has been given out, to the end of a message.
  bool betweenMessages() const { return buffer_.size() == at_ && !inFrame_ && !message_; }

 private:
  struct Head {
    bool final = false;
    WebSocketOpcode opcode = WebSocketOpcode::Binary;
    std::uint64_t length = 0;
    std::array<char, 4> mask{};
    std::size_t size = 0;  // of the head itself
  };
  using MaybeHead = std::expected<std::optional<Head>, WebSocketFault>;

  MaybeHead readHead() const;
  std::expected<void, WebSocketFault> begin(const Head& head);
  std::optional<WebSocketPiece> takePayload();

  WebSocketRole role_;
  std::string buffer_;
  std::size_t at_ = 0;  // of buffer_: what is before it has been given out
  bool inFrame_ = false;
  Head frame_;                              // while inFrame_
  std::uint64_t taken_ = 0;                 // of its payload
  std::optional<WebSocketOpcode> message_;  // the one that has begun
};

// The head of a whole message (or control frame) of `length` bytes. A client gives a mask, and
// sends the payload after maskWebSocket(payload, mask).
std::string webSocketHead(WebSocketOpcode opcode, std::uint64_t length,
                          const std::optional<std::array<char, 4>>& mask = std::nullopt);
// XORs; `offset`: of the first byte within its payload. The same again undoes it.
void maskWebSocket(std::string& bytes, const std::array<char, 4>& mask, std::uint64_t offset = 0);

// The payload of a Close frame.
struct WebSocketClose {
  int code = 1005;  // none was given
  std::string reason;
};
std::string encodeClose(const WebSocketClose& close);  // the reason is cut to what fits
std::expected<WebSocketClose, WebSocketFault> decodeClose(std::string_view payload);

// Sec-WebSocket-Accept for a Sec-WebSocket-Key.
std::string webSocketAccept(std::string_view key);

}  // namespace okibi::net
