#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "common/http.h"
#include "common/json.h"

namespace echo {

using web::BodyDecoder;
using web::containsToken;
using web::equalsIgnoringCase;
using web::Fields;
using web::JsonArray;
using web::JsonObject;
using web::parseHead;
using web::Progress;
using web::reasonPhrase;
using web::Request;

// A part of a body that is made while it is sent.
struct Piece {
  std::string bytes;
  bool last = false;
  int waitMs = 0;  // before the next piece is asked for
};

// What happens to the connection or the process with the answer.
enum class After {
  Continue,   // keep-alive as the request asked
  Duplex,     // the body comes back chunk by chunk while it arrives
  WebSocket,  // 101, then frames
  Abort,      // the connection is reset: `body`, if any, is sent as raw bytes first
  Exit,       // the process ends with `exitCode`, or by `exitSignal`; `body` as for Abort
};

// A route's answer. Without a producer the body has a Content-Length; with one it is chunked, or of
// `producedLength` when that is known.
struct Reply {
  int status = 200;
  Fields headers;
  std::string body;
  int delayMs = 0;
  std::function<Piece()> producer;
  std::optional<uint64_t> producedLength;
  After after = After::Continue;
  int exitCode = 1;
  int exitSignal = 0;
  bool busy = false;  // counts as one of the requests in `/stats` and has Start and End lines
};

}  // namespace echo
