#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/http.h"

namespace web {

struct Answer {
  int status = 200;
  std::string type = "application/json";
  std::string body;
};

// A web server for programs that compute: one thread, poll(2), keep-alive, whole bodies in memory.
// A request may be answered at once or later, in any order; each connection has one at a time.
class SmallServer {
 public:
  // What a program does with requests. All calls come from run()'s thread.
  class Program {
   public:
    virtual ~Program() = default;

    // `ticket` names the request towards answer(). It stays valid until answered, also when the
    // caller has gone meanwhile.
    virtual void onRequest(uint64_t ticket, const Request& request) = 0;

    // Milliseconds until onPause() must be called, -1 for "no need".
    virtual int pauseMs() { return -1; }

    // Called when all requests that had arrived were handed over and the time of pauseMs() is up.
    virtual void onPause() {}
  };

  explicit SmallServer(size_t maxBody) : maxBody_(maxBody) {}

  // Listens on every address. False, with the reason on standard error, when the port cannot be
  // had.
  bool listen(int port);
  void answer(uint64_t ticket, const Answer& answer);
  [[noreturn]] void run(Program& program);

 private:
  enum class Stage { Head, Body, Answering };

  struct Connection {
    int fd = -1;
    uint64_t ticket = 0;
    Stage stage = Stage::Head;
    std::string in;
    std::string out;
    Request request;
    BodyDecoder decoder;
    bool closing = false;  // after `out` has been written
  };

  void acceptAll();
  bool receive(Connection& connection);
  void advance(Connection& connection, Program& program);
  void refuse(Connection& connection, int status);
  bool flush(Connection& connection);
  static void append(Connection& connection, const Answer& answer);

  size_t maxBody_;
  int listener_ = -1;
  uint64_t tickets_ = 0;
  std::vector<std::unique_ptr<Connection>> connections_;
};

// The port the platform names in FC_CUSTOM_LISTEN_PORT, or 9000.
int portFromEnvironment();

// Writes one line to standard output at once.
void logLine(const std::string& line);

}  // namespace web
