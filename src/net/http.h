#pragma once
// HTTP/1 messages as values, the ways a message can be wrong, and the rules a request head must
// keep.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/units.h"
#include "net/headers.h"

namespace okibi::net {

enum class HttpVersion { Http10, Http11 };

struct RequestHead {
  std::string method = "GET";
  std::string target = "/";  // as sent: origin form "/path?query", or "*" with OPTIONS
  HttpVersion version = HttpVersion::Http11;
  Headers headers;

  // Framing. From the server these are what the head says. To HttpConnection they are what is
  // wanted: neither contentLength nor chunked means that no body follows; framing fields among
  // `headers` are ignored.
  std::optional<std::uint64_t> contentLength;
  bool chunked = false;
  bool keepAlive = true;
  bool expectsContinue = false;
  std::string upgrade;  // protocol asked for by Connection: upgrade ("websocket"); empty: none

  bool hasBody() const { return chunked || contentLength.value_or(0) > 0; }
  std::string_view path() const;   // target up to '?'
  std::string_view query() const;  // after '?', may be empty
};

struct ResponseHead {
  int status = 200;
  std::string reason;  // empty: the usual phrase is sent
  Headers headers;

  // Framing, ours on the way out: with contentLength exactly so many bytes must follow (none for
  // HEAD); without, the body is chunked (or ends with the connection for HTTP/1.0). Framing fields
  // among `headers` are ignored on the way out.
  std::optional<std::uint64_t> contentLength;
  bool chunked = false;   // as received
  bool keepAlive = true;  // as received
};

std::string_view reasonPhrase(int status);  // "" for unknown numbers
std::string formatHttpDate(WallTime time);  // "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, 5.6.7)

// Every way in which a message breaks the protocol or a limit of it.
enum class HttpFault {
  Malformed,        // the grammar of RFC 9112: bare LF, NUL, blank before colon, …
  ObsoleteFolding,  // a header line continued on the next
  BadMethod,        // not upper-case letters and '-' (at most 32)
  BadTarget,        // neither origin form nor "*" with OPTIONS, or not visible ASCII
  TargetTooLong,
  HeadersTooLarge,  // names + values over the limit, or the raw head over its bound
  MissingHost,
  SeveralHosts,
  BadHost,
  BadContentLength,        // not a number, several, too big
  LengthWithChunked,       // Content-Length and Transfer-Encoding: how requests are smuggled
  BadTransferEncoding,     // anything but a single "chunked"
  BadChunk,                // chunk size line or chunk end
  UnsupportedVersion,      // not HTTP/1.0 or HTTP/1.1
  UnsupportedExpectation,  // Expect other than 100-continue
  BadUpgrade,              // an Upgrade request that also has a body, or over HTTP/1.0
  HeadTimeout,             // the head did not arrive in time
  TooManyConnections,
  NoAnswer,  // the handler returned without answering: our own fault, 500
};

std::string_view toString(HttpFault fault);  // a sentence for people
int statusOf(HttpFault fault);               // 400, 408, 414, 417, 431, 500, 503, 505

struct HeadLimits {
  Bytes fields;  // names + values
  Bytes target;
  // The raw head: fields + target + what line ends, separators and blanks may add.
  Bytes raw() const { return fields + target + Bytes::kib(8); }
};

// Rules on top of the parser, for a head that parsed; fills the framing members. nullopt: it is in
// order.
std::optional<HttpFault> checkRequestHead(RequestHead& head, const HeadLimits& limits);

// RFC 9110: token; field value without control characters other than tab.
bool isToken(std::string_view text);
bool isFieldValue(std::string_view text);

// Connection, Keep-Alive, Proxy-Connection, TE, Trailer, Transfer-Encoding, Upgrade: of one hop
// only.
bool isHopByHop(std::string_view name);
// Removes the above and whatever Connection names (but not Content-Length, Host).
void removeHopByHop(Headers& headers);

}  // namespace okibi::net
