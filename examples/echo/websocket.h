#pragma once

#include <string>
#include <string_view>

namespace echo {

// The Sec-WebSocket-Accept value for a client's Sec-WebSocket-Key (RFC 6455, section 4.2.2).
std::string webSocketAccept(std::string_view key);

enum class Frames { Open, Closed };

// Takes whole client frames off the front of `in` and appends the answers to `out`: data frames
// come back unmasked as they were, a ping becomes a pong, a close is answered and ends the
// conversation, as does a frame that breaks the protocol.
Frames echoFrames(std::string& in, std::string& out);

}  // namespace echo
