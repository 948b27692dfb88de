#include "common/http.h"

#include <algorithm>
#include <charconv>

namespace web {
namespace {

constexpr size_t kMaxHead = 64 * 1024;
constexpr size_t kMaxChunkLine = 4096;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

int hexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (lower(c) >= 'a' && lower(c) <= 'f') return lower(c) - 'a' + 10;
  return -1;
}

std::string percentDecode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hexDigit(text[i + 1]) >= 0 &&
        hexDigit(text[i + 2]) >= 0) {
      out += static_cast<char>(hexDigit(text[i + 1]) * 16 + hexDigit(text[i + 2]));
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

void splitTarget(Request& request) {
  const std::string_view target = request.target;
  const size_t mark = target.find('?');
  request.path = percentDecode(target.substr(0, mark));
  std::string_view rest = mark == target.npos ? "" : target.substr(mark + 1);
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    const size_t equals = pair.find('=');
    request.query.emplace_back(percentDecode(pair.substr(0, equals)),
                               equals == pair.npos ? "" : percentDecode(pair.substr(equals + 1)));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
  }
}

bool parseRequestLine(std::string_view line, Request& request) {
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == line.npos || first == last) return false;
  const std::string_view version = line.substr(last + 1);
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return false;
  request.method = line.substr(0, first);
  request.target = line.substr(first + 1, last - first - 1);
  request.keepAlive = version == "HTTP/1.1";
  splitTarget(request);
  return !request.method.empty() && !request.target.empty();
}

bool parseSize(std::string_view text, int base, uint64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

}  // namespace

std::optional<std::string_view> Request::header(std::string_view name) const {
  for (const auto& [key, value] : headers)
    if (equalsIgnoringCase(key, name)) return value;
  return std::nullopt;
}

std::optional<std::string_view> Request::param(std::string_view name) const {
  for (const auto& [key, value] : query)
    if (key == name) return value;
  return std::nullopt;
}

std::string Request::text(std::string_view name, std::string_view fallback) const {
  return std::string(param(name).value_or(fallback));
}

int64_t Request::number(std::string_view name, int64_t fallback) const {
  const std::string_view text = param(name).value_or("");
  int64_t value = fallback;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() ? value : fallback;
}

Progress parseHead(std::string_view in, Request& request, size_t& used) {
  const size_t end = in.find("\r\n\r\n");
  if (end == in.npos) return in.size() > kMaxHead ? Progress::Bad : Progress::NeedMore;
  used = end + 4;
  std::string_view head = in.substr(0, end);
  size_t lineEnd = head.find("\r\n");
  if (!parseRequestLine(head.substr(0, lineEnd), request)) return Progress::Bad;
  while (lineEnd != head.npos) {
    head.remove_prefix(lineEnd + 2);
    lineEnd = head.find("\r\n");
    const std::string_view line = head.substr(0, lineEnd);
    const size_t colon = line.find(':');
    if (colon == line.npos || colon == 0) return Progress::Bad;
    request.headers.emplace_back(line.substr(0, colon), trim(line.substr(colon + 1)));
  }
  const std::string_view connection = request.header("connection").value_or("");
  if (containsToken(connection, "close")) request.keepAlive = false;
  if (containsToken(connection, "keep-alive")) request.keepAlive = true;
  return Progress::Done;
}

bool BodyDecoder::begin(const Request& head) {
  const auto coding = head.header("transfer-encoding");
  const auto length = head.header("content-length");
  if (coding) {
    stage_ = Stage::ChunkSize;
    return !length && equalsIgnoringCase(*coding, "chunked");
  }
  left_ = 0;
  if (length && !parseSize(*length, 10, left_)) return false;
  stage_ = left_ > 0 ? Stage::Fixed : Stage::Finished;
  return true;
}

Progress BodyDecoder::feedLine(std::string_view line) {
  if (stage_ == Stage::ChunkSize) {
    if (!parseSize(trim(line.substr(0, line.find(';'))), 16, left_)) return Progress::Bad;
    stage_ = left_ > 0 ? Stage::ChunkData : Stage::Trailer;
  } else if (stage_ == Stage::ChunkEnd) {
    if (!line.empty()) return Progress::Bad;
    stage_ = Stage::ChunkSize;
  } else if (line.empty()) {
    stage_ = Stage::Finished;  // the empty line after the trailers
  }
  return Progress::NeedMore;
}

Progress BodyDecoder::feed(std::string_view in, std::string& out, size_t& used) {
  used = 0;
  while (stage_ != Stage::Finished) {
    const std::string_view rest = in.substr(used);
    if (stage_ == Stage::Fixed || stage_ == Stage::ChunkData) {
      const size_t take = static_cast<size_t>(std::min<uint64_t>(rest.size(), left_));
      if (take == 0) return Progress::NeedMore;
      out.append(rest.substr(0, take));
      used += take;
      left_ -= take;
      if (left_ == 0) stage_ = stage_ == Stage::Fixed ? Stage::Finished : Stage::ChunkEnd;
      continue;
    }
    const size_t end = rest.find("\r\n");
    if (end == rest.npos) return rest.size() > kMaxChunkLine ? Progress::Bad : Progress::NeedMore;
    used += end + 2;
    if (feedLine(rest.substr(0, end)) == Progress::Bad) return Progress::Bad;
  }
  return Progress::Done;
}

std::string_view reasonPhrase(int status) {
  switch (status) {
    case 101:
      return "Switching Protocols";
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 413:
      return "Content Too Large";
    case 416:
      return "Range Not Satisfiable";
    case 500:
      return "Internal Server Error";
    case 503:
      return "Service Unavailable";
    default:
      return "Status";
  }
}

bool equalsIgnoringCase(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

bool containsToken(std::string_view list, std::string_view token) {
  while (!list.empty()) {
    const std::string_view item = list.substr(0, list.find(','));
    if (equalsIgnoringCase(trim(item), token)) return true;
    list.remove_prefix(std::min(list.size(), item.size() + 1));
  }
  return false;
}

}  // namespace web
