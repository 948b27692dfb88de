#include "common/small_server.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/json.h"

namespace web {
namespace {

constexpr size_t kReadSize = 64 * 1024;
constexpr int kBacklog = 256;

}  // namespace

bool SmallServer::listen(int port) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_ANY);
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0 ||
      ::listen(listener_, kBacklog) < 0) {
    dprintf(STDERR_FILENO, "cannot listen on port %d: %s\n", port, strerror(errno));
    return false;
  }
  return true;
}

void SmallServer::run(Program& program) {
  std::vector<pollfd> waiting;
  for (;;) {
    waiting.assign(1, {listener_, POLLIN, 0});
    for (const auto& connection : connections_) {
      const bool reading = connection->stage != Stage::Answering;
      const int events = (reading ? POLLIN : 0) | (connection->out.empty() ? 0 : POLLOUT);
      waiting.push_back({connection->fd, static_cast<short>(events), 0});
    }
    poll(waiting.data(), waiting.size(), program.pauseMs());
    for (size_t i = 0; i + 1 < waiting.size(); ++i) {
      Connection& connection = *connections_[i];
      const short events = waiting[i + 1].revents;
      if ((events & (POLLIN | POLLHUP | POLLERR)) != 0 && !receive(connection))
        connection.closing = true;
      if (!connection.closing) advance(connection, program);
    }
    if (program.pauseMs() == 0) program.onPause();
    for (const auto& connection : connections_)
      if (!flush(*connection)) connection->out.clear(), connection->closing = true;
    std::erase_if(connections_, [](const auto& connection) {
      if (!connection->closing || !connection->out.empty()) return false;
      close(connection->fd);
      return true;
    });
    if ((waiting[0].revents & POLLIN) != 0) acceptAll();
  }
}

void SmallServer::acceptAll() {
  for (;;) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connections_.push_back(std::make_unique<Connection>());
    connections_.back()->fd = fd;
  }
}

// False when the caller is gone.
bool SmallServer::receive(Connection& connection) {
  char buffer[kReadSize];
  const ssize_t got = read(connection.fd, buffer, sizeof buffer);
  if (got > 0) connection.in.append(buffer, static_cast<size_t>(got));
  return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

void SmallServer::advance(Connection& connection, Program& program) {
  size_t used = 0;
  if (connection.stage == Stage::Head && !connection.in.empty()) {
    connection.request = Request();
    const Progress progress = parseHead(connection.in, connection.request, used);
    if (progress == Progress::NeedMore) return;
    if (progress == Progress::Bad || !connection.decoder.begin(connection.request)) {
      refuse(connection, 400);
      return;
    }
    connection.in.erase(0, used);
    if (connection.request.header("expect") && connection.in.empty())
      connection.out += "HTTP/1.1 100 Continue\r\n\r\n";
    connection.stage = Stage::Body;
  }
  if (connection.stage != Stage::Body) return;
  const Progress progress = connection.decoder.feed(connection.in, connection.request.body, used);
  connection.in.erase(0, used);
  if (progress == Progress::Bad) return refuse(connection, 400);
  if (connection.request.body.size() > maxBody_) return refuse(connection, 413);
  if (progress == Progress::NeedMore) return;
  connection.stage = Stage::Answering;
  connection.ticket = ++tickets_;
  program.onRequest(connection.ticket, connection.request);
}

void SmallServer::refuse(Connection& connection, int status) {
  connection.request.keepAlive = false;
  JsonObject error;
  error.add("error", status == 413 ? "the body is too large" : "this is not an HTTP request");
  append(connection, {.status = status, .body = error.done()});
}

void SmallServer::answer(uint64_t ticket, const Answer& answer) {
  for (const auto& connection : connections_)
    if (connection->ticket == ticket && connection->stage == Stage::Answering)
      append(*connection, answer);
}

void SmallServer::append(Connection& connection, const Answer& answer) {
  const bool keep = connection.request.keepAlive;
  connection.out += "HTTP/1.1 " + std::to_string(answer.status) + " ";
  connection.out += reasonPhrase(answer.status);
  connection.out += "\r\nContent-Type: " + answer.type +
                    "\r\nContent-Length: " + std::to_string(answer.body.size()) +
                    (keep ? "\r\n\r\n" : "\r\nConnection: close\r\n\r\n");
  if (connection.request.method != "HEAD") connection.out += answer.body;
  connection.stage = Stage::Head;
  connection.closing = !keep;
}

// Writes what the socket takes. False when the caller is gone.
bool SmallServer::flush(Connection& connection) {
  while (!connection.out.empty()) {
    const ssize_t wrote =
        send(connection.fd, connection.out.data(), connection.out.size(), MSG_NOSIGNAL);
    if (wrote < 0) return errno == EAGAIN;
    connection.out.erase(0, static_cast<size_t>(wrote));
  }
  return true;
}

int portFromEnvironment() {
  const char* text = getenv("FC_CUSTOM_LISTEN_PORT");
  const int port = text == nullptr ? 0 : atoi(text);
  return port > 0 && port < 65536 ? port : 9000;
}

void logLine(const std::string& line) {
  const std::string text = line + "\n";
  if (write(STDOUT_FILENO, text.data(), text.size()) < 0) return;
}

}  // namespace web
