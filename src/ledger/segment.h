#pragma once
// One segment of the ledger log as bytes: its name, its header, and the scan that tells a torn tail
// from damage. Inside ledger only; pure but for listSegments.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ledger/record.h"

namespace okibi::ledger {

// 8 bytes magic, u64 number, u32 format version, u32 CRC-32C of the 20 bytes before.
inline constexpr std::size_t kSegmentHeader = 24;

std::string segmentName(std::uint64_t number);  // "ledger-00000001.log"
std::string encodeSegmentHeader(std::uint64_t number);
Result<void> checkSegmentHeader(std::string_view bytes, std::uint64_t number);

// Numbers of the segments in the directory, ascending.
Result<std::vector<std::uint64_t>> listSegments(const std::filesystem::path& directory);

struct Scan {
  Records records;            // up to `end`, with DurableMarks
  std::size_t end = 0;        // where the first bad frame begins; the size if there is none
  Records survivors;          // intact records behind a bad frame
  std::uint64_t durable = 0;  // the furthest DurableMark, survivors included
};
// Bytes of a whole segment, header included. Invalid: a frame whose checksum is right and whose
// record is not understood (a newer program's).
Result<Scan> scanSegment(std::string_view bytes);

}  // namespace okibi::ledger
