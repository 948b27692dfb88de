#include "routes.h"

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "probe_support.h"
#include "probes.h"
#include "websocket.h"
#include <unistd.h>

#include "common/json.h"

namespace echo {
namespace {

constexpr size_t kPieceSize = 64 * 1024;

std::string requestId(const Request& request) {
  return std::string(request.header("x-fc-request-id").value_or("-"));
}

// Byte `i` of the generated body: a pattern whose period is no power of two, so that a lost or
// doubled block shows.
char patternByte(uint64_t i) {
  return static_cast<char>('a' + i % 23);
}

Reply inspect(const Request& request) {
  JsonObject headers;
  for (const auto& [name, value] : request.headers) headers.add(name, value);
  JsonObject object;
  object.add("method", request.method).add("path", request.path).add("target", request.target);
  object.addRaw("headers", headers.done()).add("body", request.body);
  object.add("bodyBytes", static_cast<int64_t>(request.body.size()));
  return jsonReply(object);
}

// ?chunks=&delay_ms=&size= ; ?sse=1 makes the pieces server-sent events.
Reply stream(const Request& request) {
  Reply reply;
  const bool events = request.number("sse", 0) != 0;
  reply.headers.emplace_back("Content-Type", events ? "text/event-stream" : "text/plain");
  const int64_t chunks = request.number("chunks", 3);
  const auto delayMs = static_cast<int>(request.number("delay_ms", 0));
  const auto size = static_cast<size_t>(request.number("size", 0));
  reply.producer = [=, sent = int64_t{0}]() mutable {
    Piece piece;
    if (sent < chunks) {
      piece.bytes = (events ? "data: chunk " : "chunk ") + std::to_string(sent++) + "\n";
      if (events) piece.bytes += '\n';
      if (piece.bytes.size() < size) piece.bytes.resize(size, '.');
    }
    piece.last = sent >= chunks;
    piece.waitMs = piece.last ? 0 : delayMs;
    return piece;
  };
  return reply;
}

// One `bytes=A-B` range of a body of `size` bytes (RFC 9110, section 14); false when it has no
// part.
bool readRange(std::string_view text, uint64_t size, uint64_t& begin, uint64_t& end) {
  if (!text.starts_with("bytes=")) return true;
  const std::string spec(text.substr(6));
  const size_t dash = spec.find('-');
  if (dash == spec.npos || size == 0) return false;
  const std::string last = spec.substr(dash + 1);
  if (dash == 0) {
    begin = size - std::min<uint64_t>(size, strtoull(last.c_str(), nullptr, 10));
    return begin < size;
  }
  begin = strtoull(spec.c_str(), nullptr, 10);
  if (!last.empty()) end = std::min<uint64_t>(size, strtoull(last.c_str(), nullptr, 10) + 1);
  return begin < end;
}

// ?n= bytes of the pattern, with Range; made as they are sent, so that n may exceed the memory.
Reply bytes(const Request& request) {
  Reply reply;
  const auto size = static_cast<uint64_t>(std::max<int64_t>(0, request.number("n", 1024)));
  uint64_t begin = 0, end = size;
  reply.headers.emplace_back("Accept-Ranges", "bytes");
  if (const auto range = request.header("range")) {
    if (!readRange(*range, size, begin, end)) {
      reply.status = 416;
      reply.headers.emplace_back("Content-Range", "bytes */" + std::to_string(size));
      return reply;
    }
    reply.status = 206;
    reply.headers.emplace_back("Content-Range", "bytes " + std::to_string(begin) + "-" +
                                                    std::to_string(end - 1) + "/" +
                                                    std::to_string(size));
  }
  reply.producedLength = end - begin;
  reply.producer = [begin, end]() mutable {
    Piece piece;
    piece.bytes.resize(static_cast<size_t>(std::min<uint64_t>(kPieceSize, end - begin)));
    for (char& byte : piece.bytes) byte = patternByte(begin++);
    piece.last = begin == end;
    return piece;
  };
  return reply;
}

// ?code=&partial=1 or ?signal= ; with `partial` the client has read a head and some bytes by then.
Reply endOfProcess(const Request& request, After after) {
  Reply reply;
  reply.after = after;
  reply.exitCode = static_cast<int>(request.number("code", 1));
  reply.exitSignal = static_cast<int>(request.number("signal", 0));
  reply.delayMs = static_cast<int>(request.number("ms", 0));
  if (request.number("partial", 0) != 0)
    reply.body = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nnot all of it";
  return reply;
}

Reply discard(const Request& request) {
  uint64_t hash = 0xcbf29ce484222325;  // FNV-1a, so that a test can compare without the bytes
  for (const char byte : request.body)
    hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
  JsonObject object;
  object.add("bytes", static_cast<int64_t>(request.body.size()));
  object.add("fnv1a", std::to_string(hash));
  return jsonReply(object);
}

// ?lines=&size=&stderr=1
Reply writeLog(const Request& request) {
  std::string text;
  const auto size = static_cast<size_t>(request.number("size", 0));
  for (int64_t i = 0; i < request.number("lines", 1); ++i) {
    std::string line = request.text("text", "line") + " " + std::to_string(i);
    if (line.size() < size) line.resize(size, '.');
    text += line + "\n";
  }
  const int to = request.number("stderr", 0) != 0 ? STDERR_FILENO : STDOUT_FILENO;
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t wrote = write(to, text.data() + done, text.size() - done);
    if (wrote <= 0) break;
    done += static_cast<size_t>(wrote);
  }
  JsonObject object;
  return jsonReply(object.add("written", static_cast<int64_t>(done)));
}

Reply upgrade(const Request& request) {
  Reply reply;
  const auto key = request.header("sec-websocket-key");
  if (!key || !containsToken(request.header("upgrade").value_or(""), "websocket")) {
    reply.status = 400;
    reply.body = "a WebSocket handshake is needed here\n";
    return reply;
  }
  reply.status = 101;
  reply.after = After::WebSocket;
  reply.headers = {{"Upgrade", "websocket"},
                   {"Connection", "Upgrade"},
                   {"Sec-WebSocket-Accept", webSocketAccept(*key)}};
  return reply;
}

using Handler = Reply (*)(const Request&);

constexpr std::pair<std::string_view, Handler> kHandlers[] = {
    {"/stream", stream},
    {"/bytes", bytes},
    {"/discard", discard},
    {"/log", writeLog},
    {"/ws", upgrade},
    {"/exit", [](const Request& r) { return endOfProcess(r, After::Exit); }},
    {"/abort", [](const Request& r) { return endOfProcess(r, After::Abort); }},
    {"/duplex",
     [](const Request&) {
       Reply reply;
       reply.after = After::Duplex;
       return reply;
     }},
    {"/whoami", [](const Request&) { return probeWhoAmI(); }},
    {"/env", [](const Request&) { return probeEnvironment(); }},
    {"/read", probeRead},
    {"/write", probeWrite},
    {"/ls", probeList},
    {"/connect", probeConnect},
    {"/alloc", probeAlloc},
    {"/fill", probeFill},
    {"/fork", probeFork},
    {"/cpu", probeCpu},
};

}  // namespace

Reply Routes::answer(const Request& request) {
  if (request.path == "/stats") return statistics();
  if (request.path == "/health") return health(request);
  Reply reply;
  const auto* handler =
      std::ranges::find(kHandlers, request.path, &std::pair<std::string_view, Handler>::first);
  if (request.path == "/initialize")
    reply = initialize(request);
  else if (request.path == "/pre-stop")
    reply = preStop(request);
  else if (handler != std::end(kHandlers))
    reply = handler->second(request);
  else
    reply = plain(request);
  reply.busy = true;
  return reply;
}

// Every other path: the body comes back. ?status=, ?ms= (delay), ?header=Name:value, ?inspect=1
// work on all of them; `/sleep` and `/status` are names for the commonest.
Reply Routes::plain(const Request& request) {
  Reply reply;
  if (request.number("inspect", 0) != 0) {
    reply = inspect(request);
  } else {
    const auto type = request.header("content-type");
    reply.headers.emplace_back("Content-Type", type.value_or("application/octet-stream"));
    reply.body = request.body;
  }
  if (request.path == "/sleep" && reply.body.empty()) reply.body = "slept\n";
  reply.status =
      static_cast<int>(request.number(request.path == "/status" ? "code" : "status", 200));
  if (reply.status < 200 || reply.status > 599) reply.status = 400;
  reply.delayMs = static_cast<int>(request.number("ms", 0));
  for (const auto& [key, value] : request.query) {
    const size_t colon = value.find(':');
    if (key == "header" && colon != value.npos && value.find_first_of("\r\n") == value.npos)
      reply.headers.emplace_back(value.substr(0, colon), value.substr(colon + 1));
  }
  return reply;
}

Reply Routes::initialize(const Request& request) {
  printLine("FC Initialize Start RequestId: " + requestId(request));
  ++stats_.initialized;
  Reply reply;
  reply.status = settings_.initializeStatus;
  reply.delayMs = settings_.initializeSleepMs;
  reply.body = reply.status == 200 ? "initialized\n" : "the initializer fails as it was told to\n";
  return reply;
}

Reply Routes::preStop(const Request& request) {
  printLine("FC PreStop Start RequestId: " + requestId(request));
  ++stats_.stopHooks;
  Reply reply;
  reply.delayMs = settings_.preStopSleepMs;
  reply.body = "stopping\n";
  return reply;
}

// The status that `/health?set=` left, 200 at first.
Reply Routes::health(const Request& request) {
  healthStatus_ = static_cast<int>(request.number("set", healthStatus_));
  Reply reply;
  reply.status = request.param("set") ? 200 : healthStatus_;
  reply.body = "health " + std::to_string(healthStatus_) + "\n";
  return reply;
}

Reply Routes::statistics() const {
  JsonObject object;
  object.add("pid", getpid()).add("requests", stats_.requests).add("active", stats_.active);
  object.add("maxActive", stats_.maxActive).add("cancelled", stats_.cancelled);
  object.add("initialized", stats_.initialized).add("stopHooks", stats_.stopHooks);
  return jsonReply(object);
}

}  // namespace echo
