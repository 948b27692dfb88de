// Arbitrary bytes as a ledger segment, as one record and as a price file. Nothing may crash; a
// record that is understood must encode to the very same bytes; scanning must account for every
// byte.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "ledger/price_book.h"
#include "ledger/record_codec.h"
#include "ledger/segment.h"

namespace {

using namespace okibi::ledger;

void require(bool condition) {
  if (!condition) std::abort();
}

void asPayload(std::string_view bytes) {
  const auto record = decodePayload(bytes);
  if (!record) return;
  // Texts longer than the limit are read and would be cut when written; an older version is read
  // and the newest is written.
  const std::string again = encodePayload(*record);
  if (again.size() == bytes.size() && again[0] == bytes[0]) require(again == bytes);
  const auto twice = decodePayload(again);
  require(twice.has_value());
  require(encodePayload(*twice) == again);
}

void asSegment(std::string_view bytes) {
  std::string segment = encodeSegmentHeader(1);
  segment += bytes;
  const auto scan = scanSegment(segment);
  if (!scan) return;
  require(scan->end >= kSegmentHeader && scan->end <= segment.size());
  // What was accepted is accepted again by itself, whole.
  const auto clean = scanSegment(std::string_view(segment).substr(0, scan->end));
  require(clean.has_value() && clean->end == scan->end);
  require(clean->records.size() == scan->records.size() && clean->survivors.empty());
}

// Checksums stop nearly every input; frames made of the input's pieces get further.
void asFrames(std::string_view bytes) {
  std::string segment = encodeSegmentHeader(1);
  while (bytes.size() > 2) {
    const std::size_t length =
        std::min<std::size_t>(static_cast<unsigned char>(bytes[0]) + 2, bytes.size() - 1);
    const std::string_view payload = bytes.substr(1, length);
    std::string frame(kFrameHeader, '\0');
    for (int i = 0; i < 4; ++i) frame[i] = static_cast<char>(payload.size() >> (8 * i));
    const std::uint32_t crc = crc32c(payload, crc32c(std::string_view(frame).substr(0, 4)));
    for (int i = 0; i < 4; ++i) frame[4 + i] = static_cast<char>(crc >> (8 * i));
    segment += frame;
    segment += payload;
    bytes.remove_prefix(1 + length);
  }
  const auto scan = scanSegment(segment);
  if (scan) require(scan->end == segment.size());
}

void asPrices(std::string_view text) {
  const auto book = parsePriceBook(text);
  if (!book) require(!book.error().message.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      asPayload(bytes);
      break;
    case 1:
      asSegment(bytes);
      break;
    case 2:
      asFrames(bytes);
      break;
    default:
      asPrices(bytes);
      break;
  }
  return 0;
}
