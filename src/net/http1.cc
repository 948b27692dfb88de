#include "net/http1.h"

#include <charconv>
#include <cstring>

#include <boost/beast/http/basic_parser.hpp>
#include <fmt/format.h>

#include "base/encoding.h"

namespace okibi::net {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using ErrorCode = boost::system::error_code;

namespace {

std::string_view toStd(beast::string_view text) {
  return {text.data(), text.size()};
}

// What a head parser and a body parser have in common: nothing happens in any callback.
template <bool isRequest>
class QuietParser : public http::basic_parser<isRequest> {
 protected:
  using View = beast::string_view;
  void on_request_impl(http::verb, View, View, int, ErrorCode&) override {}
  void on_response_impl(int, View, int, ErrorCode&) override {}
  void on_field_impl(http::field, View, View, ErrorCode&) override {}
  void on_header_impl(ErrorCode&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, ErrorCode&) override {}
  std::size_t on_body_impl(View body, ErrorCode&) override { return body.size(); }
  void on_chunk_header_impl(std::uint64_t, View, ErrorCode&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, View body, ErrorCode&) override {
    return body.size();
  }
  void on_finish_impl(ErrorCode&) override {}
};

void addField(Headers& headers, std::string_view name, std::string_view value, ErrorCode& error) {
  if (!isToken(name) || !isFieldValue(value)) {
    error = http::error::bad_value;
    return;
  }
  headers.add(name, value);
}

class RequestParser final : public QuietParser<true> {
 public:
  explicit RequestParser(RequestHead& head) : head_(head) {}

 private:
  void on_request_impl(http::verb, View method, View target, int version, ErrorCode&) override {
    head_.method = toStd(method);
    head_.target = toStd(target);
    head_.version = version == 11 ? HttpVersion::Http11 : HttpVersion::Http10;
  }
  void on_field_impl(http::field, View name, View value, ErrorCode& error) override {
    addField(head_.headers, toStd(name), toStd(value), error);
  }
  RequestHead& head_;
};

class ResponseParser final : public QuietParser<false> {
 public:
  explicit ResponseParser(ResponseHead& head) : head_(head) {}
  bool modern() const { return modern_; }

 private:
  void on_response_impl(int status, View reason, int version, ErrorCode& error) override {
    head_.status = status;
    head_.reason = isFieldValue(toStd(reason)) ? toStd(reason) : std::string_view();
    modern_ = version == 11;
    if (status < 100 || status > 599) error = http::error::bad_status;
  }
  void on_field_impl(http::field, View name, View value, ErrorCode& error) override {
    addField(head_.headers, toStd(name), toStd(value), error);
  }
  ResponseHead& head_;
  bool modern_ = true;
};

HttpFault faultOf(const ErrorCode& error, const Headers& headers) {
  bool coded = headers.has("transfer-encoding"), sized = headers.has("content-length");
  if (error == http::error::bad_content_length || error == http::error::multiple_content_length) {
    return coded ? HttpFault::LengthWithChunked : HttpFault::BadContentLength;
  }
  if (error == http::error::bad_transfer_encoding) {
    return sized ? HttpFault::LengthWithChunked : HttpFault::BadTransferEncoding;
  }
  if (error == http::error::bad_version) return HttpFault::UnsupportedVersion;
  if (error == http::error::bad_method) return HttpFault::BadMethod;
  if (error == http::error::bad_target) return HttpFault::BadTarget;
  if (error == http::error::header_limit) return HttpFault::HeadersTooLarge;
  return HttpFault::Malformed;
}

// Gives the whole head to `parser`; bodies are not its business.
template <bool isRequest>
std::optional<HttpFault> parseHead(QuietParser<isRequest>& parser, std::string_view raw,
                                   const Headers& headers) {
  parser.header_limit(static_cast<std::uint32_t>(raw.size() + 1));
  parser.body_limit(boost::none);
  parser.skip(true);
  ErrorCode error;
  std::size_t used = parser.put(boost::asio::buffer(raw), error);
  if (error) return faultOf(error, headers);
  if (used != raw.size() || !parser.is_header_done()) return HttpFault::Malformed;
  return std::nullopt;
}

}  // namespace

// ---- heads

HeadScanner::Outcome HeadScanner::scan(std::string_view buffered, const HeadLimits& limits) {
  for (;;) {
    std::size_t newline = buffered.find('\n', position_);
    if (newline == std::string_view::npos) break;
    if (newline == 0 || buffered[newline - 1] != '\r') {
      return {.length = 0, .fault = HttpFault::Malformed};
    }
    if (newline - position_ == 1) {
      // The empty line. Before the first line it is no head (the reader skips such lines itself).
      if (position_ == 0) return {.length = 0, .fault = HttpFault::Malformed};
      if (std::cmp_greater(newline + 1, limits.raw().count())) break;
      return {.length = newline + 1, .fault = {}};
    }
    char first = buffered[position_];
    if (position_ > 0 && (first == ' ' || first == '\t')) {
      return {.length = 0, .fault = HttpFault::ObsoleteFolding};
    }
    position_ = newline + 1;
  }
  if (std::cmp_greater(buffered.size(), limits.raw().count())) {
    return {.length = 0,
            .fault = position_ == 0 ? HttpFault::TargetTooLong : HttpFault::HeadersTooLarge};
  }
  return {};
}

std::optional<HttpFault> parseRequestHead(std::string_view raw, RequestHead& head) {
  head.headers.clear();
  RequestParser parser(head);
  return parseHead(parser, raw, head.headers);
}

namespace {

std::optional<HttpFault> frameResponse(std::string_view method, ParsedResponse& response) {
  ResponseHead& head = response.head;
  std::size_t codings = head.headers.count("transfer-encoding");
  std::size_t lengths = head.headers.count("content-length");
  if (codings > 0 && lengths > 0) return HttpFault::LengthWithChunked;
  if (codings > 0) {
    bool single =
        codings == 1 && equalsIgnoreCase(*head.headers.get("transfer-encoding"), "chunked");
    if (!single) return HttpFault::BadTransferEncoding;
    head.chunked = true;
  }
  if (lengths > 0) {
    std::string_view text = *head.headers.get("content-length");
    std::uint64_t value = 0;
    auto [end, error] = std::from_chars(text.begin(), text.end(), value);
    if (lengths > 1 || error != std::errc() || end != text.end() || value >> 60) {
      return HttpFault::BadContentLength;
    }
    head.contentLength = value;
  }
  bool bodiless = method == "HEAD" || head.status < 200 || head.status == 204 || head.status == 304;
  if (bodiless) {
    response.body = ResponseBody::None;
  } else if (head.chunked) {
    response.body = ResponseBody::Chunked;
  } else if (head.contentLength) {
    response.body = *head.contentLength > 0 ? ResponseBody::Sized : ResponseBody::None;
  } else {
    response.body = ResponseBody::UntilClose;
    head.keepAlive = false;
  }
  return std::nullopt;
}

}  // namespace

std::optional<HttpFault> parseResponseHead(std::string_view raw, std::string_view method,
                                           ParsedResponse& response) {
  response = {};
  ResponseParser parser(response.head);
  if (auto fault = parseHead(parser, raw, response.head.headers)) return fault;
  const Headers& headers = response.head.headers;
  response.head.keepAlive = parser.modern() ? !headers.hasToken("connection", "close")
                                            : headers.hasToken("connection", "keep-alive");
  return frameResponse(method, response);
}

// ---- chunks

struct ChunkDecoder::Parser final : QuietParser<true> {
  Parser() {
    // Brought to the start of a chunked body.
    static constexpr std::string_view kPrimer =
        "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
    body_limit(boost::none);
    ErrorCode error;
    put(boost::asio::buffer(kPrimer), error);
  }
  void on_chunk_header_impl(std::uint64_t size, View, ErrorCode&) override { left = size; }
  std::size_t on_chunk_body_impl(std::uint64_t, View body, ErrorCode&) override {
    got = toStd(body);
    left -= body.size();
    return body.size();
  }
  std::string_view got;
  std::uint64_t left = 0;  // of the current chunk's content; 0: a chunk header comes next
};

constexpr std::string_view kLastChunk = "0\r\n\r\n";

ChunkDecoder::ChunkDecoder() = default;
ChunkDecoder::~ChunkDecoder() = default;
void ChunkDecoder::reset() {
  parser_ = std::make_unique<Parser>();
}

ChunkDecoder::Outcome ChunkDecoder::decode(std::span<char> input) {
  Outcome outcome;
  char* pieceStart = nullptr;
  std::size_t pieceLength = 0;
  while (outcome.consumed < input.size() && !parser_->is_done()) {
    std::span<char> rest = input.subspan(outcome.consumed);
    // Beast asserts that a last chunk has come whole ("0\r\n\r\n") when it looks at it again, and
    // the segments are the caller's to choose. No body ends with less after a chunk, so waiting
    // loses nothing.
    if (parser_->left == 0 && rest.size() < kLastChunk.size()) break;
    parser_->got = {};
    ErrorCode error;
    std::size_t used = parser_->put(boost::asio::buffer(rest.data(), rest.size()), error);
    outcome.consumed += used;
    if (!parser_->got.empty()) {
      char* from = const_cast<char*>(parser_->got.data());
      if (pieceStart == nullptr) {
        pieceStart = from;
      } else {
        std::memmove(pieceStart + pieceLength, from, parser_->got.size());
      }
      pieceLength += parser_->got.size();
    }
    if (error == http::error::need_more) break;
    if (error) {
      outcome.fault = HttpFault::BadChunk;
      break;
    }
    if (used == 0 && parser_->got.empty()) break;
  }
  outcome.piece = {pieceStart, pieceLength};
  outcome.ended = parser_->is_done();
  return outcome;
}

// ---- writing

namespace {

bool isFraming(std::string_view name) {
  return isHopByHop(name) || (name.size() == 14 && equalsIgnoreCase(name, "content-length"));
}

void writeFields(const Headers& headers, std::string& out) {
  for (Headers::Field field : headers) {
    if (isFraming(field.name)) continue;
    out.append(field.name).append(": ").append(field.value).append("\r\n");
  }
}

void writeUpgrade(std::string_view protocol, std::string& out) {
  out.append("connection: upgrade\r\nupgrade: ").append(protocol).append("\r\n");
}

void writeLength(std::uint64_t length, std::string& out) {
  fmt::format_to(std::back_inserter(out), "content-length: {}\r\n", length);
}

}  // namespace

void writeRequestHead(const RequestHead& head, std::string& out) {
  out.append(head.method).append(" ").append(head.target).append(" HTTP/1.1\r\n");
  writeFields(head.headers, out);
  if (head.contentLength) {
    writeLength(*head.contentLength, out);
  } else if (head.chunked) {
    out.append("transfer-encoding: chunked\r\n");
  }
  if (!head.upgrade.empty()) writeUpgrade(head.upgrade, out);
  out.append("\r\n");
}

void writeResponseHead(const ResponseHead& head, Coding coding, Persistence persistence,
                       std::string& out) {
  std::string_view reason = head.reason.empty() ? reasonPhrase(head.status) : head.reason;
  fmt::format_to(std::back_inserter(out), "HTTP/1.1 {} {}\r\n", head.status, reason);
  writeFields(head.headers, out);
  if (coding == Coding::Sized) writeLength(*head.contentLength, out);
  if (coding == Coding::Chunked) out.append("transfer-encoding: chunked\r\n");
  if (head.status == 101) {
    writeUpgrade(head.headers.getOr("upgrade", "websocket"), out);
  } else if (persistence == Persistence::Close) {
    out.append("connection: close\r\n");
  } else {
    out.append("connection: keep-alive\r\n");
  }
  out.append("\r\n");
}

std::string_view writeChunkSize(std::size_t size, std::span<char, 20> buffer) {
  auto end = fmt::format_to(buffer.data(), "{:x}\r\n", size);
  return {buffer.data(), static_cast<std::size_t>(end - buffer.data())};
}

}  // namespace okibi::net
