#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "routes.h"
#include "settings.h"

#include "common/http.h"

namespace echo {

// One epoll loop for all connections, on one thread. A connection works on one request at a time;
// whatever else the client sent meanwhile waits in its buffer.
class Server {
 public:
  explicit Server(const Settings& settings) : settings_(settings), routes_(settings, stats_) {}

  // Binds and listens. False, with the reason on standard error, when the port cannot be had.
  bool listen();

  // Serves until the process ends.
  [[noreturn]] void run();

 private:
  enum class Stage { Head, Body, Waiting, Sending, Duplex, WebSocket, Closing };

  struct Connection {
    int fd = -1;
    uint64_t serial = 0;  // tells a timer of a closed connection from the next user of its fd
    Stage stage = Stage::Head;
    std::string in;
    std::string out;
    size_t sent = 0;  // of `out`
    Request request;
    BodyDecoder decoder;
    Reply reply;
    bool chunked = false;
    bool paused = false;  // the producer asked for a wait
    uint32_t interest = 0;
  };

  void acceptAll();
  void onEvent(Connection& connection, uint32_t events);
  void onTimer(Connection& connection);
  bool readSome(Connection& connection);
  void advance(Connection& connection);
  bool advanceHead(Connection& connection);
  bool advanceBody(Connection& connection);
  bool advanceDuplex(Connection& connection);
  bool refuse(Connection& connection, int status);
  void dispatch(Connection& connection);
  void begin(Connection& connection);
  void appendHead(Connection& connection);
  void produce(Connection& connection);
  bool flush(Connection& connection);
  void finish(Connection& connection);
  void endProcess(const Reply& reply);
  void drop(Connection& connection);
  void wakeAfter(const Connection& connection, int ms);
  void runTimers();
  void setInterest(Connection& connection);
  void note(const Connection& connection, const char* what) const;

  const Settings& settings_;
  Stats stats_;
  Routes routes_;
  int listener_ = -1;
  int epoll_ = -1;
  uint64_t serial_ = 0;
  std::vector<std::unique_ptr<Connection>> connections_;     // by file descriptor
  std::multimap<int64_t, std::pair<int, uint64_t>> timers_;  // due ms → fd, serial
};

}  // namespace echo
