// The first byte picks what the rest is: a request head, an answer's head, or a chunked body.
// Beyond not crashing, what was accepted must be unambiguous: written again and read again it is
// the same message.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "net/http1.h"

using namespace okibi;
using namespace okibi::net;

namespace {

constexpr HeadLimits kLimits{.fields = Bytes::kib(8), .target = Bytes::kib(4)};

void require(bool law) {
  if (!law) std::abort();
}

// A head must end where it ends however many bytes have come so far.
std::size_t scan(std::string_view input) {
  HeadScanner atOnce, inSteps;
  HeadScanner::Outcome whole = atOnce.scan(input, kLimits);
  HeadScanner::Outcome step;
  for (std::size_t n = 0; n <= input.size() && step.length == 0 && !step.fault; ++n) {
    step = inSteps.scan(input.substr(0, n), kLimits);
  }
  require(step.length == whole.length);
  return whole.fault ? 0 : whole.length;
}

void request(std::string_view input) {
  std::size_t length = scan(input);
  if (length == 0) return;
  RequestHead head;
  if (parseRequestHead(input.substr(0, length), head)) return;
  if (checkRequestHead(head, kLimits)) return;
  require(!(head.chunked && head.contentLength));
  require(head.headers.count("host") <= 1);
  std::string again;
  writeRequestHead(head, again);
  RequestHead second;
  require(!parseRequestHead(again, second));
  if (head.version == HttpVersion::Http10 && !head.headers.has("host")) return;
  require(!checkRequestHead(second, kLimits) || second.headers.byteCount() > kLimits.fields);
  require(second.method == head.method && second.target == head.target);
  require(second.chunked == head.chunked && second.contentLength == head.contentLength);
}

void response(std::string_view input) {
  std::size_t length = scan(input);
  if (length == 0) return;
  for (std::string_view method : {"GET", "HEAD"}) {
    ParsedResponse parsed;
    if (parseResponseHead(input.substr(0, length), method, parsed)) return;
    require(!(parsed.head.chunked && parsed.head.contentLength));
    Coding coding = parsed.head.contentLength ? Coding::Sized : Coding::Chunked;
    std::string again;
    writeResponseHead(parsed.head, coding, Persistence::Close, again);
    ParsedResponse second;
    require(!parseResponseHead(again, method, second));
    require(second.head.status == parsed.head.status);
    require(second.head.contentLength == parsed.head.contentLength);
  }
}

std::string decode(std::string_view input, std::size_t step, bool& ended, bool& bad) {
  ChunkDecoder decoder;
  decoder.reset();
  std::string body, pending;
  for (std::size_t at = 0; at < input.size() && !ended && !bad; at += step) {
    pending += input.substr(at, step);
    for (;;) {
      ChunkDecoder::Outcome out = decoder.decode(pending);
      require(out.consumed <= pending.size() && out.piece.size() <= out.consumed);
      body += out.piece;
      ended = out.ended;
      bad = out.fault.has_value();
      pending.erase(0, out.consumed);
      if (ended || bad || out.consumed == 0 || pending.empty()) break;
    }
  }
  return body;
}

void chunks(std::string_view input) {
  bool ended = false, bad = false, endedBySteps = false, badBySteps = false;
  std::string whole = decode(input, input.size() + 1, ended, bad);
  std::string bySteps = decode(input, 1, endedBySteps, badBySteps);
  require(ended == endedBySteps);
  if (ended) require(whole == bySteps);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 'q':
      request(rest);
      break;
    case 'a':
      response(rest);
      break;
    case 'c':
      chunks(rest);
      break;
    default:
      break;
  }
  return 0;
}
