#include "websocket.h"

#include <array>
#include <bit>
#include <cstdint>

namespace echo {
namespace {

constexpr uint64_t kMaxFrame = 16u << 20;
constexpr unsigned char kClose = 0x8, kPing = 0x9, kPong = 0xA, kFinal = 0x80, kMasked = 0x80;

void sha1Block(std::array<uint32_t, 5>& state, const unsigned char* block) {
  uint32_t w[80];
  for (int i = 0; i < 16; ++i)
    w[i] = uint32_t{block[4 * i]} << 24 | uint32_t{block[4 * i + 1]} << 16 |
           uint32_t{block[4 * i + 2]} << 8 | block[4 * i + 3];
  for (int i = 16; i < 80; ++i) w[i] = std::rotl(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
  auto [a, b, c, d, e] = state;
  for (int i = 0; i < 80; ++i) {
    uint32_t f = b ^ c ^ d, k = i < 40 ? 0x6ED9EBA1 : 0xCA62C1D6;
    if (i < 20) {
      f = (b & c) | (~b & d);
      k = 0x5A827999;
    } else if (i >= 40 && i < 60) {
      f = (b & c) | (b & d) | (c & d);
      k = 0x8F1BBCDC;
    }
    const uint32_t next = std::rotl(a, 5) + f + e + k + w[i];
    e = d;
    d = c;
    c = std::rotl(b, 30);
    b = a;
    a = next;
  }
  const uint32_t add[5] = {a, b, c, d, e};
  for (size_t i = 0; i < 5; ++i) state[i] += add[i];
}

std::string sha1(std::string message) {
  const uint64_t bits = message.size() * 8;
  message += '\x80';
  while (message.size() % 64 != 56) message += '\0';
  for (int shift = 56; shift >= 0; shift -= 8) message += static_cast<char>(bits >> shift);
  std::array<uint32_t, 5> state = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
  for (size_t at = 0; at < message.size(); at += 64)
    sha1Block(state, reinterpret_cast<const unsigned char*>(message.data() + at));
  std::string digest;
  for (const uint32_t word : state)
    for (int shift = 24; shift >= 0; shift -= 8) digest += static_cast<char>(word >> shift);
  return digest;
}

std::string base64(std::string_view bytes) {
  static constexpr char kAlphabet[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const std::string_view group = bytes.substr(i, 3);
    uint32_t value = 0;
    for (size_t j = 0; j < 3; ++j)
      value = value << 8 | (j < group.size() ? static_cast<unsigned char>(group[j]) : 0u);
    for (size_t j = 0; j < 4; ++j)
      out += j <= group.size() ? kAlphabet[value >> (18 - 6 * j) & 63] : '=';
  }
  return out;
}

struct Frame {
  unsigned char first = 0;  // FIN, reserved bits, opcode
  uint64_t length = 0;
  size_t headSize = 0;  // with the mask
};

// False while the frame head is incomplete.
bool readFrameHead(std::string_view in, Frame& frame) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(in[i]); };
  if (in.size() < 2) return false;
  frame.first = byte(0);
  frame.length = byte(1) & 0x7f;
  const size_t extra = frame.length == 126 ? 2 : frame.length == 127 ? 8 : 0;
  if (in.size() < 2 + extra) return false;
  if (extra > 0) frame.length = 0;
  for (size_t i = 0; i < extra; ++i) frame.length = frame.length << 8 | byte(2 + i);
  frame.headSize = 2 + extra + 4;
  return in.size() >= frame.headSize;
}

void appendFrame(unsigned char first, std::string_view payload, std::string& out) {
  out += static_cast<char>(first);
  if (payload.size() < 126) {
    out += static_cast<char>(payload.size());
  } else {
    const int bytes = payload.size() < 65536 ? 2 : 8;
    out += bytes == 2 ? '\x7e' : '\x7f';
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
      out += static_cast<char>(payload.size() >> shift);
  }
  out += payload;
}

}  // namespace

std::string webSocketAccept(std::string_view key) {
  return base64(sha1(std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
}

Frames echoFrames(std::string& in, std::string& out) {
  Frame frame;
  while (readFrameHead(in, frame)) {
    const bool masked = (static_cast<unsigned char>(in[1]) & kMasked) != 0;
    if (!masked || frame.length > kMaxFrame) {
      appendFrame(kFinal | kClose, "\x03\xea", out);  // 1002, protocol error
      return Frames::Closed;
    }
    if (in.size() - frame.headSize < frame.length) return Frames::Open;
    std::string payload = in.substr(frame.headSize, static_cast<size_t>(frame.length));
    for (size_t i = 0; i < payload.size(); ++i)
      payload[i] = static_cast<char>(payload[i] ^ in[frame.headSize - 4 + i % 4]);
    in.erase(0, frame.headSize + payload.size());
    const unsigned char opcode = frame.first & 0x0f;
    if (opcode == kPong) continue;
    appendFrame(opcode == kPing ? kFinal | kPong : frame.first, payload, out);
    if (opcode == kClose) return Frames::Closed;
  }
  return Frames::Open;
}

}  // namespace echo
