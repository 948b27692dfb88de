#include "net/http.h"

#include <algorithm>
#include <array>
#include <vector>

#include <fmt/format.h>

#include "base/encoding.h"

namespace okibi::net {

namespace {

bool isDigit(char c) {
  return c >= '0' && c <= '9';
}
bool isAlpha(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool isTokenChar(char c) {
  return isDigit(c) || isAlpha(c) ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

constexpr std::array<bool, 256> kTokenTable = [] {
  std::array<bool, 256> table{};
  for (char c = '0'; c <= '9'; ++c) table[static_cast<unsigned char>(c)] = true;
  for (char c = 'a'; c <= 'z'; ++c) table[static_cast<unsigned char>(c)] = true;
  for (char c = 'A'; c <= 'Z'; ++c) table[static_cast<unsigned char>(c)] = true;
  for (char c : std::string_view("!#$%&'*+-.^_`|~")) table[static_cast<unsigned char>(c)] = true;
  return table;
}();

}  // namespace

std::string_view RequestHead::path() const {
  return std::string_view(target).substr(0, target.find('?'));
}

std::string_view RequestHead::query() const {
  std::size_t mark = target.find('?');
  return mark == std::string::npos ? std::string_view() : std::string_view(target).substr(mark + 1);
}

std::string formatHttpDate(WallTime time) {
  static constexpr std::array<std::string_view, 7> kDays{"Sun", "Mon", "Tue", "Wed",
                                                         "Thu", "Fri", "Sat"};
  static constexpr std::array<std::string_view, 12> kMonths{
      "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(std::chrono::floor<std::chrono::seconds>(time - day));
  return fmt::format(
      "{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT", kDays[std::chrono::weekday(day).c_encoding()],
      static_cast<unsigned>(date.day()), kMonths[static_cast<unsigned>(date.month()) - 1],
      static_cast<int>(date.year()), clock.hours().count(), clock.minutes().count(),
      clock.seconds().count());
}

std::string_view reasonPhrase(int status) {
  struct Row {
    int status;
    std::string_view phrase;
  };
  static constexpr Row kPhrases[] = {
      {100, "Continue"},
      {101, "Switching Protocols"},
      {200, "OK"},
      {201, "Created"},
      {202, "Accepted"},
      {204, "No Content"},
      {206, "Partial Content"},
      {301, "Moved Permanently"},
      {302, "Found"},
      {303, "See Other"},
      {304, "Not Modified"},
      {307, "Temporary Redirect"},
      {308, "Permanent Redirect"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {408, "Request Timeout"},
      {409, "Conflict"},
      {412, "Precondition Failed"},
      {413, "Content Too Large"},
      {414, "URI Too Long"},
      {415, "Unsupported Media Type"},
      {416, "Range Not Satisfiable"},
      {417, "Expectation Failed"},
      {422, "Unprocessable Content"},
      {429, "Too Many Requests"},
      {431, "Request Header Fields Too Large"},
      {499, "Client Closed Request"},
      {500, "Internal Server Error"},
      {501, "Not Implemented"},
      {502, "Bad Gateway"},
      {503, "Service Unavailable"},
      {504, "Gateway Timeout"},
      {505, "HTTP Version Not Supported"},
  };
  auto row = std::ranges::find(kPhrases, status, &Row::status);
  return row == std::end(kPhrases) ? std::string_view() : row->phrase;
}

std::string_view toString(HttpFault fault) {
  switch (fault) {
    case HttpFault::Malformed:
      return "the message is not HTTP/1.1";
    case HttpFault::ObsoleteFolding:
      return "a header field continues on the next line";
    case HttpFault::BadMethod:
      return "the method is not a word of upper-case letters";
    case HttpFault::BadTarget:
      return "the request target is not a path";
    case HttpFault::TargetTooLong:
      return "the request target is too long";
    case HttpFault::HeadersTooLarge:
      return "the header fields are too large";
    case HttpFault::MissingHost:
      return "the Host header is missing";
    case HttpFault::SeveralHosts:
      return "there is more than one Host header";
    case HttpFault::BadHost:
      return "the Host header is not a host";
    case HttpFault::BadContentLength:
      return "Content-Length is not one number";
    case HttpFault::LengthWithChunked:
      return "both Content-Length and Transfer-Encoding are given";
    case HttpFault::BadTransferEncoding:
      return "Transfer-Encoding is not \"chunked\"";
    case HttpFault::BadChunk:
      return "a chunk of the body is malformed";
    case HttpFault::UnsupportedVersion:
      return "only HTTP/1.1 and HTTP/1.0 are spoken here";
    case HttpFault::UnsupportedExpectation:
      return "Expect is not 100-continue";
    case HttpFault::BadUpgrade:
      return "an upgrade needs HTTP/1.1 and no body";
    case HttpFault::HeadTimeout:
      return "the request head did not arrive in time";
    case HttpFault::TooManyConnections:
      return "there are too many connections";
    case HttpFault::NoAnswer:
      return "the request was not answered";
  }
  return "";
}

int statusOf(HttpFault fault) {
  switch (fault) {
    case HttpFault::TargetTooLong:
      return 414;
    case HttpFault::HeadersTooLarge:
      return 431;
    case HttpFault::UnsupportedVersion:
      return 505;
    case HttpFault::UnsupportedExpectation:
      return 417;
    case HttpFault::HeadTimeout:
      return 408;
    case HttpFault::TooManyConnections:
      return 503;
    case HttpFault::NoAnswer:
      return 500;
    default:
      return 400;
  }
}

bool isToken(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return kTokenTable[static_cast<unsigned char>(c)];
  });
}

bool isFieldValue(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    auto u = static_cast<unsigned char>(c);
    return (u >= 0x20 && u != 0x7f) || u == '\t';
  });
}

bool isHopByHop(std::string_view name) {
  static constexpr std::array<std::string_view, 7> kNames = {
      "connection", "keep-alive",        "proxy-connection", "te",
      "trailer",    "transfer-encoding", "upgrade"};
  return std::ranges::any_of(kNames, [name](std::string_view hop) {
    return hop.size() == name.size() && equalsIgnoreCase(hop, name);
  });
}

void removeHopByHop(Headers& headers) {
  std::vector<std::string> named;
  for (Headers::Field field : headers) {
    if (!equalsIgnoreCase(field.name, "connection")) continue;
    for (std::string_view token : split(field.value, ',')) named.emplace_back(trim(token));
  }
  headers.removeIf([&](std::string_view name) {
    if (isHopByHop(name)) return true;
    // Connection cannot be used to take away what routing and framing stand on.
    if (equalsIgnoreCase(name, "host") || equalsIgnoreCase(name, "content-length")) return false;
    return std::ranges::any_of(named,
                               [&](std::string_view n) { return equalsIgnoreCase(n, name); });
  });
}

// ---- checkRequestHead

namespace {

bool isGoodMethod(std::string_view method) {
  return !method.empty() && method.size() <= 32 &&
         std::ranges::all_of(method, [](char c) { return (c >= 'A' && c <= 'Z') || c == '-'; });
}

bool isGoodTarget(std::string_view method, std::string_view target) {
  if (target == "*") return method == "OPTIONS";
  return target.starts_with('/') &&
         std::ranges::all_of(target, [](char c) { return c > 0x20 && c < 0x7f && c != '#'; });
}

bool isGoodHost(std::string_view host) {
  return host.size() <= 255 && std::ranges::all_of(host, [](char c) {
           return isTokenChar(c) || c == ':' || c == '[' || c == ']';
         });
}

// One number, digits only: no sign, no list, no blanks.
std::optional<std::uint64_t> parseLength(std::string_view text) {
  if (text.empty() || text.size() > 18 || !std::ranges::all_of(text, isDigit)) return std::nullopt;
  std::uint64_t value = 0;
  for (char c : text) value = value * 10 + static_cast<std::uint64_t>(c - '0');
  return value;
}

std::optional<HttpFault> checkHost(const RequestHead& head) {
  std::size_t hosts = head.headers.count("host");
  if (hosts > 1) return HttpFault::SeveralHosts;
  if (hosts == 0 && head.version == HttpVersion::Http11) return HttpFault::MissingHost;
  if (hosts == 1 && !isGoodHost(*head.headers.get("host"))) return HttpFault::BadHost;
  return std::nullopt;
}

std::optional<HttpFault> checkFraming(RequestHead& head) {
  std::size_t codings = head.headers.count("transfer-encoding");
  std::size_t lengths = head.headers.count("content-length");
  if (codings > 0 && lengths > 0) return HttpFault::LengthWithChunked;
  head.chunked = codings > 0;
  head.contentLength.reset();
  if (codings > 0) {
    bool single = codings == 1 &&
                  equalsIgnoreCase(*head.headers.get("transfer-encoding"), "chunked") &&
                  head.version == HttpVersion::Http11;
    if (!single) return HttpFault::BadTransferEncoding;
  }
  if (lengths > 0) {
    if (lengths > 1) return HttpFault::BadContentLength;
    head.contentLength = parseLength(*head.headers.get("content-length"));
    if (!head.contentLength) return HttpFault::BadContentLength;
  }
  return std::nullopt;
}

std::optional<HttpFault> checkConnection(RequestHead& head) {
  bool modern = head.version == HttpVersion::Http11;
  const Headers& headers = head.headers;
  head.keepAlive = modern ? !headers.hasToken("connection", "close")
                          : headers.hasToken("connection", "keep-alive");
  head.expectsContinue = false;
  if (auto expect = headers.get("expect")) {
    if (!equalsIgnoreCase(*expect, "100-continue")) return HttpFault::UnsupportedExpectation;
    head.expectsContinue = modern && head.hasBody();
  }
  head.upgrade.clear();
  if (headers.has("upgrade") && headers.hasToken("connection", "upgrade")) {
    std::string_view protocol = *headers.get("upgrade");
    // curl offers h2c with every plain request: an offer that may be ignored, body or not.
    if (equalsIgnoreCase(protocol, "h2c")) return std::nullopt;
    if (!modern || head.hasBody()) return HttpFault::BadUpgrade;
    head.upgrade = protocol;
  }
  return std::nullopt;
}

}  // namespace

std::optional<HttpFault> checkRequestHead(RequestHead& head, const HeadLimits& limits) {
  if (!isGoodMethod(head.method)) return HttpFault::BadMethod;
  if (std::cmp_greater(head.target.size(), limits.target.count())) return HttpFault::TargetTooLong;
  if (!isGoodTarget(head.method, head.target)) return HttpFault::BadTarget;
  if (head.headers.byteCount() > limits.fields) return HttpFault::HeadersTooLarge;
  if (auto fault = checkHost(head)) return fault;
  if (auto fault = checkFraming(head)) return fault;
  return checkConnection(head);
}

}  // namespace okibi::net
