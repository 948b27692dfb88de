#pragma once
// HTTP/1 on the wire, without I/O: where a head ends, what it says, what a chunked body holds, and
// how heads are written. Inside of net; Beast's parser is behind it, in http1.cc only. Fuzzed
// (fuzz/http1).

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "net/http.h"

namespace okibi::net {

// Looks for the end of a head, line by line, each byte once. Strict about line ends: a bare LF and
// a folded line are found here, before any parser might be kind to them.
class HeadScanner {
 public:
  struct Outcome {
    std::size_t length = 0;  // of the whole head with its empty line; 0: not there yet
    std::optional<HttpFault> fault;
  };
  // `buffered` begins where the message begins, and has grown since the last call.
  Outcome scan(std::string_view buffered, const HeadLimits& limits);
  void reset() { position_ = 0; }

 private:
  std::size_t position_ = 0;  // start of the line not yet seen whole
};

// `raw` is exactly one head. Fills all but the framing members, which checkRequestHead() does.
std::optional<HttpFault> parseRequestHead(std::string_view raw, RequestHead& head);

enum class ResponseBody { None, Sized, Chunked, UntilClose };
struct ParsedResponse {
  ResponseHead head;
  ResponseBody body = ResponseBody::None;
};
// Parses and checks an answer's head; `method` is of the request (HEAD has no body).
std::optional<HttpFault> parseResponseHead(std::string_view raw, std::string_view method,
                                           ParsedResponse& response);

// Decodes a chunked body in place.
class ChunkDecoder {
 public:
  ChunkDecoder();
  ~ChunkDecoder();
  void reset();

  struct Outcome {
    std::size_t consumed = 0;  // bytes of the input that are done with
    std::string_view piece;    // body bytes, inside the consumed part of the input
    bool ended = false;        // the final chunk and the trailer have been read
    std::optional<HttpFault> fault;
  };
  // Takes as much as possible; the contents of several chunks are moved together, within `input`.
  // Nothing consumed and not ended: more input is needed, which must begin with the same bytes.
  Outcome decode(std::span<char> input);

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

enum class Persistence { KeepAlive, Close };
enum class Coding { None, Sized, Chunked };

// Appends a head to `out`. Hop-by-hop and framing fields of `head` are replaced by what the other
// arguments say; Upgrade passes with a 101 or an upgrade request.
void writeRequestHead(const RequestHead& head, std::string& out);
void writeResponseHead(const ResponseHead& head, Coding coding, Persistence persistence,
                       std::string& out);

// "1a2b\r\n" into `buffer`.
std::string_view writeChunkSize(std::size_t size, std::span<char, 20> buffer);

}  // namespace okibi::net
