// The first byte picks the side that reads and how the rest is cut; the rest is what comes. However
// it is cut, the same messages must come out and the same fault; and what a Close frame says must
// survive being written again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "net/websocket_frame.h"

using namespace okibi::net;

namespace {

void require(bool law) {
  if (!law) std::abort();
}

void checkClose(std::string_view payload) {
  const auto close = decodeClose(payload);
  if (!close || close->code == 1005) return;
  const auto again = decodeClose(encodeClose(*close));
  require(again && again->code == close->code);
}

std::string decode(WebSocketRole role, std::string_view bytes, std::size_t step) {
  WebSocketDecoder decoder(role);
  std::string controls, data;
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    decoder.feed(bytes.substr(at, step));
    for (;;) {
      const auto piece = decoder.next();
      if (!piece) return controls + "|" + data + "|" + std::string(piece.error().what);
      if (!*piece) break;
      const auto opcode = static_cast<int>((*piece)->opcode);
      require(opcode == 1 || opcode == 2 || (opcode >= 8 && opcode <= 10));
      if (opcode >= 8) require((*piece)->bytes.size() <= kWebSocketControlMost && (*piece)->last);
      if (opcode == 8) checkClose((*piece)->bytes);
      (opcode >= 8 ? controls : data) += (*piece)->bytes;
      if ((*piece)->last) (opcode >= 8 ? controls : data) += static_cast<char>(opcode);
    }
  }
  return controls + "|" + data + (decoder.betweenMessages() ? "|" : "|...");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto role = data[0] % 2 == 0 ? WebSocketRole::Server : WebSocketRole::Client;
  const std::string whole = decode(role, bytes, bytes.size() + 1);
  require(decode(role, bytes, 1) == whole);
  require(decode(role, bytes, 1 + data[0] / 2) == whole);
  return 0;
}
