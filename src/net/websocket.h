#pragma once
// WebSocket: one connection after its upgrade, either side. Pings are answered, the closing
// handshake is done; pieces of messages go in and out. Loop thread only. One task reads; any number
// write (they wait for one another); the object outlives them.

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/event.h"
#include "net/exchange.h"
#include "net/http_client.h"
#include "net/task.h"
#include "net/websocket_frame.h"

namespace okibi::net {

// The bytes below: an exchange that was upgraded, or a client's connection that is a tunnel.
class ByteTunnel {
 public:
  virtual ~ByteTunnel() = default;
  virtual Task<Result<std::string_view>> read() = 0;  // empty: the end
  virtual Task<Result<void>> write(std::string_view bytes) = 0;
  virtual void abort() = 0;  // ends what is in flight; of no further use
};
std::unique_ptr<ByteTunnel> tunnelOf(Exchange& exchange);
std::unique_ptr<ByteTunnel> tunnelOf(HttpConnection& connection);

class WebSocket {
 public:
  WebSocket(Loop& loop, ByteTunnel& tunnel, WebSocketRole role)
      : loop_(loop), tunnel_(tunnel), role_(role), decoder_(role) {}

  // The next piece of a message. Cancelled: the peer has closed (peerClose()) or is gone. Invalid:
  // it broke the protocol and was told so.
  Task<Result<WebSocketPiece>> read();
  // Sends one message. Cancelled when the peer is gone or this side has closed.
  Task<Result<void>> write(WebSocketOpcode opcode, std::string_view payload);
  // The same of two parts, as one message.
  Task<Result<void>> write(WebSocketOpcode opcode, std::string_view front,
                           std::string_view payload);
  // Sends a Close, once; after it nothing more is written. The peer's answer is read by read().
  Task<void> close(WebSocketClose close);
  std::optional<WebSocketClose> peerClose() const { return peerClose_; }

 private:
  Task<Result<void>> send(WebSocketOpcode opcode, std::string_view front, std::string_view payload);
  Task<Result<void>> onControl(const WebSocketPiece& piece);

  Loop& loop_;
  ByteTunnel& tunnel_;
  WebSocketRole role_;
  WebSocketDecoder decoder_;
  std::optional<WebSocketClose> peerClose_;
  bool closeSent_ = false;
  bool writing_ = false;
  std::deque<std::shared_ptr<Event>> writers_;  // in order of arrival
};

// The answer to an upgrade request: 101's head with its Accept. Invalid: it is no proper one, and
// why. `protocol`: the subprotocol agreed on; empty: none.
Result<ResponseHead> acceptWebSocket(const RequestHead& request, std::string_view protocol = {});
// Whether the client offers the subprotocol.
bool offersProtocol(const RequestHead& request, std::string_view protocol);

// Makes `request` an upgrade request and gives the key that the answer is checked against.
std::string askForWebSocket(RequestHead& request, std::string_view protocol = {});
Result<void> checkWebSocketAnswer(const ResponseHead& answer, std::string_view key);

}  // namespace okibi::net
