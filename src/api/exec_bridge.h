#pragma once
// ExecBridge: a session's program on one side, its client's WebSocket on the other. Bytes pass both
// ways with back-pressure by not reading; the first cause of an end decides what the client is
// told: 1000 "exit code N" when the program has ended, 1001 when its instance has, 1008 when a
// limit was reached. Inside api.

#include <optional>
#include <string>
#include <string_view>

#include "api/exec_order.h"
#include "conductor/conductor.h"
#include "conductor/session.h"
#include "net/event.h"
#include "net/exchange.h"
#include "net/socket.h"
#include "net/websocket.h"

namespace okibi::api {

enum class ExecControls { None, Text };  // what a client's text messages are (kExecProtocol)

class ExecBridge {
 public:
  // The exchange has been upgraded; both outlive this.
  ExecBridge(conductor::Conductor& conductor, std::shared_ptr<conductor::Session> session,
             net::Exchange& exchange, const ExecOrder& order, ExecControls controls);

  // Until both sides have ended. The session is closed then.
  net::Task<void> run();

 private:
  net::Task<void> fromClient();
  net::Task<void> toProgram(std::string_view bytes);
  net::Task<void> toClient(net::FdWatcher* from, ExecStream stream, bool wanted);
  net::Task<void> bothToClient();
  net::Task<void> awaitEnd();
  bool onControl(const net::WebSocketPiece& piece);
  void stop(net::WebSocketClose close);
  void touch();
  void onSilence();

  conductor::Conductor& conductor_;
  net::Loop& loop_;
  std::shared_ptr<conductor::Session> session_;
  net::Exchange& exchange_;
  const ExecOrder& order_;
  ExecControls controls_;
  std::unique_ptr<net::ByteTunnel> tunnel_;
  net::WebSocket socket_;
  std::optional<net::FdWatcher> in_, out_, err_;
  net::Event outputEnded_;
  net::Timer silence_, total_, linger_;
  Instant lastData_{};
  std::string control_;                       // a control message that has begun
  std::optional<net::WebSocketClose> close_;  // the first cause of the end
  bool gone_ = false;                         // the client is
};

}  // namespace okibi::api
