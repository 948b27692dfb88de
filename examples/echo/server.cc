#include "server.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "websocket.h"
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace echo {
namespace {

constexpr size_t kReadSize = 64 * 1024;
constexpr size_t kMaxBody = 512u << 20;
constexpr size_t kMaxAhead = 64 * 1024;    // read beyond the request in work
constexpr size_t kMaxUnsent = 256 * 1024;  // before a producer or an echo waits for the client
constexpr int kBacklog = 1024;

int64_t nowMs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void appendChunk(std::string_view bytes, std::string& out) {
  char size[32];
  snprintf(size, sizeof size, "%zx\r\n", bytes.size());
  out += size;
  out += bytes;
  out += "\r\n";
}

}  // namespace

bool Server::listen() {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(settings_.port));
  address.sin_addr.s_addr = htonl(settings_.loopbackOnly ? INADDR_LOOPBACK : INADDR_ANY);
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0 ||
      ::listen(listener_, kBacklog) < 0) {
    dprintf(STDERR_FILENO, "echo: cannot listen on port %d: %s\n", settings_.port, strerror(errno));
    return false;
  }
  epoll_event event{.events = EPOLLIN, .data = {.fd = listener_}};
  epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &event);
  return true;
}

void Server::run() {
  for (;;) {
    int waitMs = -1;
    if (!timers_.empty())
      waitMs = static_cast<int>(std::max<int64_t>(0, timers_.begin()->first - nowMs()));
    epoll_event events[128];
    const int count = epoll_wait(epoll_, events, 128, waitMs);
    for (int i = 0; i < count; ++i) {
      const int fd = events[i].data.fd;
      if (fd == listener_)
        acceptAll();
      else if (connections_[static_cast<size_t>(fd)])
        onEvent(*connections_[static_cast<size_t>(fd)], events[i].events);
    }
    runTimers();
  }
}

void Server::acceptAll() {
  for (;;) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connections_.size() <= static_cast<size_t>(fd))
      connections_.resize(static_cast<size_t>(fd) + 1);
    auto connection = std::make_unique<Connection>();
    connection->fd = fd;
    connection->serial = ++serial_;
    connection->interest = EPOLLIN;
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
    connections_[static_cast<size_t>(fd)] = std::move(connection);
  }
}

void Server::onEvent(Connection& connection, uint32_t events) {
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && !readSome(connection)) {
    drop(connection);
    return;
  }
  advance(connection);
}

// Reads what is there. False when the client is gone.
bool Server::readSome(Connection& connection) {
  const size_t before = connection.in.size();
  connection.in.resize_and_overwrite(before + kReadSize, [&](char* data, size_t) {
    const ssize_t got = read(connection.fd, data + before, kReadSize);
    return got > 0 ? before + static_cast<size_t>(got) : (errno = got == 0 ? EPIPE : errno, before);
  });
  return connection.in.size() > before || errno == EAGAIN || errno == EINTR;
}

// Does all that can be done without waiting: parse, answer, write.
void Server::advance(Connection& connection) {
  bool more = true;
  while (more) {
    more = false;
    if (connection.stage == Stage::Head)
      more = advanceHead(connection);
    else if (connection.stage == Stage::Body)
      more = advanceBody(connection);
    else if (connection.stage == Stage::Duplex)
      more = advanceDuplex(connection);
    if (connection.stage == Stage::WebSocket &&
        connection.out.size() - connection.sent < kMaxUnsent &&
        echoFrames(connection.in, connection.out) == Frames::Closed)
      connection.stage = Stage::Closing;
    if (connection.stage == Stage::Sending) produce(connection);
    if (!flush(connection)) {
      drop(connection);
      return;
    }
    if (!connection.out.empty()) break;
    if (connection.stage == Stage::Sending && !connection.paused) {
      if (!connection.reply.producer) finish(connection);
      more = true;
    }
    if (connection.stage == Stage::Closing) {
      drop(connection);
      return;
    }
  }
  setInterest(connection);
}

// True when the next stage has begun.
bool Server::advanceHead(Connection& connection) {
  if (connection.in.empty()) return false;
  connection.request = Request();
  size_t used = 0;
  const Progress progress = parseHead(connection.in, connection.request, used);
  if (progress == Progress::NeedMore) return false;
  if (progress == Progress::Bad || !connection.decoder.begin(connection.request))
    return refuse(connection, 400);
  connection.in.erase(0, used);
  if (equalsIgnoringCase(connection.request.header("expect").value_or(""), "100-continue") &&
      connection.in.empty())
    connection.out += "HTTP/1.1 100 Continue\r\n\r\n";
  connection.stage = Stage::Body;
  if (connection.request.path == "/duplex") dispatch(connection);
  return true;
}

bool Server::advanceBody(Connection& connection) {
  size_t used = 0;
  const Progress progress = connection.decoder.feed(connection.in, connection.request.body, used);
  connection.in.erase(0, used);
  if (progress == Progress::Bad) return refuse(connection, 400);
  if (connection.request.body.size() > kMaxBody) return refuse(connection, 413);
  if (progress == Progress::NeedMore) return false;
  dispatch(connection);
  return true;
}

bool Server::advanceDuplex(Connection& connection) {
  if (connection.out.size() - connection.sent >= kMaxUnsent) return false;
  size_t used = 0;
  std::string bytes;
  const Progress progress = connection.decoder.feed(connection.in, bytes, used);
  connection.in.erase(0, used);
  if (!bytes.empty()) appendChunk(bytes, connection.out);
  if (progress == Progress::NeedMore) return false;
  if (progress == Progress::Bad)
    connection.request.keepAlive = false;
  else
    connection.out += "0\r\n\r\n";
  connection.reply.producer = nullptr;
  connection.stage = Stage::Sending;
  return true;
}

bool Server::refuse(Connection& connection, int status) {
  connection.request.keepAlive = false;
  connection.reply = Reply();
  connection.reply.status = status;
  begin(connection);
  return true;
}

void Server::dispatch(Connection& connection) {
  const bool counted = connection.request.path != "/stats" && connection.request.path != "/health";
  if (counted) {
    ++stats_.requests;
    stats_.maxActive = std::max(stats_.maxActive, ++stats_.active);
    if (connection.request.path == "/invoke") note(connection, "FC Invoke Start");
  }
  connection.reply = routes_.answer(connection.request);
  if (connection.reply.delayMs <= 0) {
    begin(connection);
    return;
  }
  connection.stage = Stage::Waiting;
  wakeAfter(connection, connection.reply.delayMs);
}

// The answer begins: everything that is known of it goes into the output.
void Server::begin(Connection& connection) {
  const Reply& reply = connection.reply;
  if (reply.after == After::Exit || reply.after == After::Abort) {
    connection.out += reply.body;
    flush(connection);
    if (reply.after == After::Exit) endProcess(reply);
    const linger reset{.l_onoff = 1, .l_linger = 0};
    if (reply.body.empty()) setsockopt(connection.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    connection.stage = Stage::Closing;
    return;
  }
  connection.paused = false;
  connection.chunked = reply.after == After::Duplex || (reply.producer && !reply.producedLength);
  appendHead(connection);
  if (connection.request.method == "HEAD")
    connection.reply.producer = nullptr;
  else
    connection.out += reply.body;
  connection.stage = reply.after == After::Duplex      ? Stage::Duplex
                     : reply.after == After::WebSocket ? Stage::WebSocket
                                                       : Stage::Sending;
}

void Server::appendHead(Connection& connection) {
  const Reply& reply = connection.reply;
  std::string& out = connection.out;
  out += "HTTP/1.1 " + std::to_string(reply.status) + " ";
  out += reasonPhrase(reply.status);
  out += "\r\n";
  for (const auto& [name, value] : reply.headers) out += name + ": " + value + "\r\n";
  if (reply.status != 101 && reply.status != 204 && reply.status != 304) {
    if (connection.chunked)
      out += "Transfer-Encoding: chunked\r\n";
    else
      out += "Content-Length: " + std::to_string(reply.producedLength.value_or(reply.body.size())) +
             "\r\n";
  } else {
    connection.reply.body.clear();
  }
  if (!connection.request.keepAlive && reply.status != 101) out += "Connection: close\r\n";
  out += "\r\n";
}

// Asks the producer for pieces until the client has enough to read.
void Server::produce(Connection& connection) {
  while (connection.reply.producer && !connection.paused &&
         connection.out.size() - connection.sent < kMaxUnsent) {
    const Piece piece = connection.reply.producer();
    if (!connection.chunked)
      connection.out += piece.bytes;
    else if (!piece.bytes.empty())
      appendChunk(piece.bytes, connection.out);
    if (piece.last) {
      if (connection.chunked) connection.out += "0\r\n\r\n";
      connection.reply.producer = nullptr;
    } else if (piece.waitMs > 0) {
      connection.paused = true;
      wakeAfter(connection, piece.waitMs);
    }
  }
}

// Writes what the socket takes. False when the client is gone.
bool Server::flush(Connection& connection) {
  while (connection.sent < connection.out.size()) {
    const ssize_t wrote = send(connection.fd, connection.out.data() + connection.sent,
                               connection.out.size() - connection.sent, MSG_NOSIGNAL);
    if (wrote < 0) return errno == EAGAIN;
    connection.sent += static_cast<size_t>(wrote);
  }
  connection.out.clear();
  connection.sent = 0;
  return true;
}

void Server::finish(Connection& connection) {
  if (connection.reply.busy) {
    --stats_.active;
    if (connection.request.path == "/invoke") note(connection, "FC Invoke End");
    if (connection.request.path == "/initialize") note(connection, "FC Initialize End");
    if (connection.request.path == "/pre-stop") note(connection, "FC PreStop End");
  }
  connection.reply = Reply();
  connection.stage = connection.request.keepAlive ? Stage::Head : Stage::Closing;
}

void Server::endProcess(const Reply& reply) {
  printLine("echo: ends as it was told to, code " + std::to_string(reply.exitCode));
  if (reply.exitSignal > 0) raise(reply.exitSignal);
  _exit(reply.exitCode);
}

void Server::drop(Connection& connection) {
  const bool answering = connection.stage == Stage::Waiting || connection.stage == Stage::Sending ||
                         connection.stage == Stage::Duplex;
  if (answering && connection.reply.busy) {
    ++stats_.cancelled;
    if (!settings_.quiet) note(connection, "FC Invoke Cancelled");
  }
  if (connection.reply.busy) --stats_.active;
  close(connection.fd);
  connections_[static_cast<size_t>(connection.fd)].reset();
}

void Server::wakeAfter(const Connection& connection, int ms) {
  timers_.emplace(nowMs() + ms, std::pair{connection.fd, connection.serial});
}

void Server::runTimers() {
  while (!timers_.empty() && timers_.begin()->first <= nowMs()) {
    const auto [fd, serial] = timers_.begin()->second;
    timers_.erase(timers_.begin());
    Connection* connection = connections_[static_cast<size_t>(fd)].get();
    if (connection != nullptr && connection->serial == serial) onTimer(*connection);
  }
}

void Server::onTimer(Connection& connection) {
  if (connection.stage == Stage::Waiting) begin(connection);
  connection.paused = false;
  advance(connection);
}

// While a request is in work, reading goes on only to notice that its caller left.
void Server::setInterest(Connection& connection) {
  const bool readingBody = connection.stage == Stage::Body || connection.stage == Stage::Head;
  const bool room = readingBody || connection.in.size() < kMaxAhead;
  const uint32_t wanted = (room ? EPOLLIN : 0u) | (connection.out.empty() ? 0u : EPOLLOUT);
  if (wanted == connection.interest) return;
  connection.interest = wanted;
  epoll_event event{.events = wanted, .data = {.fd = connection.fd}};
  epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.fd, &event);
}

void Server::note(const Connection& connection, const char* what) const {
  if (settings_.quiet) return;
  printLine(std::string(what) + " RequestId: " +
            std::string(connection.request.header("x-fc-request-id").value_or("-")));
}

}  // namespace echo
