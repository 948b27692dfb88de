#include "net/websocket_frame.h"

#include <algorithm>

#include <openssl/sha.h>

#include "base/encoding.h"

namespace okibi::net {
namespace {

constexpr std::size_t kHeadMost = 14;

bool isControl(WebSocketOpcode opcode) {
  return static_cast<std::uint8_t>(opcode) >= 8;
}

std::uint8_t byteAt(std::string_view text, std::size_t at) {
  return static_cast<std::uint8_t>(text[at]);
}

std::uint64_t bigEndian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) value = value << 8 | byteAt(bytes, i);
  return value;
}

void appendBigEndian(std::string& out, std::uint64_t value, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>(value >> shift & 0xff));
  }
}

std::unexpected<WebSocketFault> fault(std::string_view what) {
  return std::unexpected(WebSocketFault{what});
}

// RFC 6455, 7.4: what may travel in a Close frame.
bool mayBeSent(int code) {
  return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
         (code >= 3000 && code <= 4999);
}

}  // namespace

void WebSocketDecoder::feed(std::string_view bytes) {
  buffer_.erase(0, at_);
  at_ = 0;
  buffer_ += bytes;
}

WebSocketDecoder::MaybeHead WebSocketDecoder::readHead() const {
  const std::string_view all = std::string_view(buffer_).substr(at_, kHeadMost);
  if (all.size() < 2) return std::nullopt;
  Head head;
  head.final = (byteAt(all, 0) & 0x80) != 0;
  head.opcode = static_cast<WebSocketOpcode>(byteAt(all, 0) & 0x0f);
  const bool masked = (byteAt(all, 1) & 0x80) != 0;
  const std::uint8_t shortLength = byteAt(all, 1) & 0x7f;
  if ((byteAt(all, 0) & 0x70) != 0) return fault("a reserved bit is set");
  const auto opcode = static_cast<std::uint8_t>(head.opcode);
  if (opcode > 10 || (opcode > 2 && opcode < 8)) return fault("a reserved opcode");
  if (masked != (role_ == WebSocketRole::Server)) {
    return fault(masked ? "a server's frame is masked" : "a client's frame is not masked");
  }
  if (isControl(head.opcode) && (!head.final || shortLength > kWebSocketControlMost)) {
    return fault("a control frame is cut or too long");
  }
  const std::size_t extended = shortLength == 126 ? 2 : shortLength == 127 ? 8 : 0;
  head.size = 2 + extended + (masked ? 4 : 0);
  if (all.size() < head.size) return std::nullopt;
  head.length = extended == 0 ? shortLength : bigEndian(all.substr(2, extended));
  if ((extended == 2 && head.length < 126) || (extended == 8 && head.length <= 0xffff)) {
    return fault("a length is not written the shortest way");
  }
  if (head.length >> 63 != 0) return fault("a length has its highest bit set");
  if (masked) std::ranges::copy(all.substr(2 + extended, 4), head.mask.begin());
  return head;
}

std::expected<void, WebSocketFault> WebSocketDecoder::begin(const Head& head) {
  if (head.opcode == WebSocketOpcode::Continuation && !message_) {
    return fault("a continuation of nothing");
  }
  if (!isControl(head.opcode)) {
    if (head.opcode != WebSocketOpcode::Continuation && message_) {
      return fault("a message begins within another");
    }
    if (!message_) message_ = head.opcode;
  }
  at_ += head.size;
  frame_ = head;
  taken_ = 0;
  inFrame_ = true;
  return {};
}

// Of a control frame all or nothing.
std::optional<WebSocketPiece> WebSocketDecoder::takePayload() {
  const std::uint64_t left = frame_.length - taken_;
  const std::uint64_t here = std::min<std::uint64_t>(buffer_.size() - at_, left);
  const bool control = isControl(frame_.opcode);
  if (here < left && (control || here == 0)) return std::nullopt;
  char* bytes = buffer_.data() + at_;
  if (role_ == WebSocketRole::Server) {
    for (std::uint64_t i = 0; i < here; ++i) bytes[i] ^= frame_.mask[(taken_ + i) % 4];
  }
  at_ += here;
  taken_ += here;
  inFrame_ = here < left;
  WebSocketPiece piece{frame_.opcode, {bytes, here}, true};
  if (control) return piece;
  piece.opcode = *message_;
  piece.last = frame_.final && !inFrame_;
  if (piece.last) message_.reset();
  return piece;
}

std::expected<std::optional<WebSocketPiece>, WebSocketFault> WebSocketDecoder::next() {
  for (;;) {
    if (!inFrame_) {
      MaybeHead head = readHead();
      if (!head) return std::unexpected(head.error());
      if (!*head) return std::nullopt;
      if (auto begun = begin(**head); !begun) return std::unexpected(begun.error());
    }
    std::optional<WebSocketPiece> piece = takePayload();
    if (!piece) return std::nullopt;
    // An empty part of a message says nothing, unless it is its end.
    if (!piece->bytes.empty() || piece->last) return piece;
  }
}

std::string webSocketHead(WebSocketOpcode opcode, std::uint64_t length,
                          const std::optional<std::array<char, 4>>& mask) {
  std::string head;
  head.push_back(static_cast<char>(0x80 | static_cast<std::uint8_t>(opcode)));
  const int masked = mask ? 0x80 : 0;
  if (length < 126) {
    head.push_back(static_cast<char>(masked | static_cast<int>(length)));
  } else {
    const bool fitsTwo = length <= 0xffff;
    head.push_back(static_cast<char>(masked | (fitsTwo ? 126 : 127)));
    appendBigEndian(head, length, fitsTwo ? 2 : 8);
  }
  if (mask) head.append(mask->data(), mask->size());
  return head;
}

void maskWebSocket(std::string& bytes, const std::array<char, 4>& mask, std::uint64_t offset) {
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] ^= mask[(offset + i) % 4];
}

std::string encodeClose(const WebSocketClose& close) {
  std::string payload;
  if (!mayBeSent(close.code)) return payload;
  appendBigEndian(payload, static_cast<std::uint64_t>(close.code), 2);
  std::size_t room = std::min(close.reason.size(), kWebSocketControlMost - 2);
  // Not within a UTF-8 sequence.
  while (room < close.reason.size() && room > 0 && (close.reason[room] & 0xc0) == 0x80) --room;
  return payload + close.reason.substr(0, room);
}

std::expected<WebSocketClose, WebSocketFault> decodeClose(std::string_view payload) {
  if (payload.empty()) return WebSocketClose{};
  if (payload.size() == 1) return fault("a close code is cut");
  const int code = static_cast<int>(bigEndian(payload.substr(0, 2)));
  if (!mayBeSent(code)) return fault("a close code that may not be sent");
  return WebSocketClose{code, std::string(payload.substr(2))};
}

std::string webSocketAccept(std::string_view key) {
  const std::string text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest;
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  return toBase64({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

}  // namespace okibi::net
