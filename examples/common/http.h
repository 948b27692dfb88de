#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace web {

using Fields = std::vector<std::pair<std::string, std::string>>;

// One request. The head is complete before a route sees it; the body too, except for `/duplex`.
struct Request {
  std::string method;
  std::string target;  // as received
  std::string path;    // percent-decoded
  Fields query;        // percent-decoded, in order
  Fields headers;      // as received, in order
  std::string body;
  bool keepAlive = true;

  // First value of a header, compared without case; of a query parameter, compared exactly.
  std::optional<std::string_view> header(std::string_view name) const;
  std::optional<std::string_view> param(std::string_view name) const;
  std::string text(std::string_view name, std::string_view fallback = "") const;
  int64_t number(std::string_view name, int64_t fallback) const;
};

enum class Progress { NeedMore, Done, Bad };

// Reads a request head from the front of `in`. Done: `request` is filled and `used` bytes belong to
// it.
Progress parseHead(std::string_view in, Request& request, size_t& used);

// Takes the framing (Content-Length or chunked) off a body as it arrives in pieces.
class BodyDecoder {
 public:
  // False when the head's framing headers contradict themselves.
  bool begin(const Request& head);

  // Appends decoded bytes of `in` to `out` and says in `used` how much of `in` it consumed.
  Progress feed(std::string_view in, std::string& out, size_t& used);

 private:
  enum class Stage { Fixed, ChunkSize, ChunkData, ChunkEnd, Trailer, Finished };

  Progress feedLine(std::string_view line);

  Stage stage_ = Stage::Finished;
  uint64_t left_ = 0;  // bytes left of the body or of the current chunk
};

std::string_view reasonPhrase(int status);
bool equalsIgnoringCase(std::string_view a, std::string_view b);
bool containsToken(std::string_view list, std::string_view token);  // comma-separated, without case

}  // namespace web
