#include "conductor/error_answer.h"

#include <algorithm>

#include <fmt/format.h>

namespace okibi {
namespace {

// Length of the valid UTF-8 sequence `text` begins with; 0: none (RFC 3629: no overlong forms, no
// surrogates, nothing above U+10FFFF).
std::size_t sequenceLength(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const unsigned char second = byte(1);
  if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
      (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F)) {
    return 0;
  }
  return length;
}

}  // namespace

int httpStatus(const Error& error) {
  if (error.code == "FunctionNotStarted") return 412;
  if (error.code == "MisdirectedRequest") return 421;  // RFC 9110, 15.5.20
  if (error.code == "BadResponse") return 502;         // the function failed under an HTTP trigger
  switch (error.kind) {
    case ErrorKind::Invalid:
      return 400;
    case ErrorKind::Denied:
      return 403;
    case ErrorKind::NotFound:
      return 404;
    case ErrorKind::AlreadyExists:
      return 409;
    case ErrorKind::Exhausted:
      return 429;
    case ErrorKind::Unavailable:
      return 503;
    case ErrorKind::TimedOut:
      return 504;
    case ErrorKind::Cancelled:
      return 499;
    case ErrorKind::Internal:
      return 500;
  }
  return 500;
}

std::string wireCode(const Error& error) {
  if (!error.code.empty()) return error.code;
  switch (error.kind) {
    case ErrorKind::Invalid:
      return "InvalidArgument";
    case ErrorKind::Denied:
      return "AccessDenied";
    case ErrorKind::NotFound:
      return "NotFound";
    case ErrorKind::AlreadyExists:
      return "ConcurrentUpdateError";
    case ErrorKind::Exhausted:
      return "ResourceExhausted";
    case ErrorKind::Unavailable:
      return "ServiceUnavailable";
    case ErrorKind::TimedOut:
      return "RequestTimeout";
    case ErrorKind::Cancelled:
      return "RequestCanceled";
    case ErrorKind::Internal:
      return "InternalServerError";
  }
  return "InternalServerError";
}

std::string errorBody(std::string_view requestId, const Error& error) {
  return fmt::format(R"({{"RequestId":{},"Code":{},"Message":{}}})", jsonQuote(requestId),
                     jsonQuote(wireCode(error)), jsonQuote(error.message));
}

std::string errorBodyOf2(std::string_view requestId, const Error& error) {
  std::string body = errorBody(requestId, error);
  body.pop_back();
  return body + fmt::format(R"(,"ErrorCode":{},"ErrorMessage":{}}})", jsonQuote(wireCode(error)),
                            jsonQuote(error.message));
}

std::string jsonQuote(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const std::size_t length = sequenceLength(text);
    const char c = text[0];
    if (length == 0) {
      out += "\xEF\xBF\xBD";
    } else if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += c == '\n' ? "\\n" : c == '\t' ? "\\t" : fmt::format("\\u{:04x}", static_cast<int>(c));
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out + '"';
}

}  // namespace okibi
