#include "bench/burst/held_call.h"

#include <cerrno>
#include <cstring>

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace okibi::bench {

HeldCall::HeldCall(int port, std::string target, Refusal refusal)
    : request_("POST " + std::move(target) +
               " HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nheld\r\n"),
      refusal_(refusal) {
  address_.sin_family = AF_INET;
  address_.sin_port = htons(static_cast<std::uint16_t>(port));
  address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
}

short HeldCall::events() const {
  return stage_ == Stage::Connecting ? POLLOUT : POLLIN;
}

void HeldCall::advance() {
  if (settled()) return;
  if (stage_ == Stage::Closed) open();
  if (stage_ == Stage::Connecting) send();
  if (stage_ == Stage::Asked) receive();
}

void HeldCall::open() {
  socket_ = net::UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  int done = ::connect(socket_.get(), reinterpret_cast<sockaddr*>(&address_), sizeof(address_));
  if (done != 0 && errno != EINPROGRESS && errno != ECONNREFUSED) error_ = std::strerror(errno);
  stage_ = Stage::Connecting;
}

void HeldCall::send() {
  pollfd state{.fd = socket_.get(), .events = POLLOUT, .revents = 0};
  if (::poll(&state, 1, 0) == 0) return;
  int error = 0;
  socklen_t size = sizeof(error);
  ::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error == ECONNREFUSED && refusal_ == Refusal::TriesAgain) {
    socket_ = {};
    stage_ = Stage::Closed;
    return;
  }
  // So small a request fits any send buffer.
  ssize_t sent =
      error != 0 ? -1 : ::send(socket_.get(), request_.data(), request_.size(), MSG_NOSIGNAL);
  if (sent != static_cast<ssize_t>(request_.size())) {
    error_ = std::strerror(error != 0 ? error : errno);
  }
  stage_ = Stage::Asked;
}

void HeldCall::receive() {
  char buffer[4096];
  ssize_t got = ::recv(socket_.get(), buffer, sizeof(buffer), 0);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) {
    error_ = got < 0 ? std::strerror(errno) : "closed without an answer";
    return;
  }
  answeredAt_ = Clock::now();
  answer_.append(buffer, static_cast<std::size_t>(got));
}

bool HeldCall::end() {
  ::fcntl(socket_.get(), F_SETFL, 0);
  if (::send(socket_.get(), "0\r\n\r\n", 5, MSG_NOSIGNAL) != 5) return false;
  char buffer[4096];
  while (!answer_.ends_with("0\r\n\r\n")) {
    ssize_t got = ::recv(socket_.get(), buffer, sizeof(buffer), 0);
    if (got <= 0) return false;
    answer_.append(buffer, static_cast<std::size_t>(got));
  }
  socket_ = {};
  return true;
}

}  // namespace okibi::bench
