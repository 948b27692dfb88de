#pragma once
// HeldCall: a request that its function has begun to answer and cannot end before end(): a POST to
// the echo server's /duplex, whose chunks come back while the body is still being sent. So "all
// serve" is seen on the answers, and nothing depends on how long a call lasts.

#include <chrono>
#include <optional>
#include <string>

#include <netinet/in.h>

#include "net/fd.h"

namespace okibi::bench {

using Clock = std::chrono::steady_clock;

class HeldCall {
 public:
  enum class Refusal { Fails, TriesAgain };  // what a refused connection means
  // `target`: path of the /duplex of a function or server on 127.0.0.1:`port`.
  HeldCall(int port, std::string target, Refusal refusal = Refusal::Fails);

  // Goes as far as it can without waiting. Until settled() it wants to be called when fd() is
  // ready for events(), or a little later while it has no fd.
  void advance();
  bool settled() const { return answeredAt_ || !error_.empty(); }
  int fd() const { return socket_.get(); }
  short events() const;

  // When the first byte of the answer came.
  std::optional<Clock::time_point> answeredAt() const { return answeredAt_; }
  bool isServed() const { return answer_.starts_with("HTTP/1.1 200"); }
  const std::string& answer() const { return answer_; }  // head and what of the body has come
  const std::string& error() const { return error_; }

  // Ends the body and reads the rest of the answer. False when it broke.
  bool end();

 private:
  void open();
  void send();
  void receive();

  sockaddr_in address_{};
  std::string request_;
  Refusal refusal_;
  net::UniqueFd socket_;
  enum class Stage { Closed, Connecting, Asked } stage_ = Stage::Closed;
  std::optional<Clock::time_point> answeredAt_;
  std::string answer_, error_;
};

}  // namespace okibi::bench
