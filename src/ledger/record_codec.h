#pragma once
// Records as bytes. A frame is
//     u32 length of the payload, u32 CRC-32C over length and payload, payload
// and a payload is u8 format version, u8 record type, then the fields: integers little-endian,
// strings with a u16 length. Version 4 is what is written (1 knew no prices and no bills, 2 nothing
// of how instances came up, 3 no versions of instances and of ended ones only the name); a reader
// refuses versions it does not know.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "ledger/record.h"

namespace okibi::ledger {

inline constexpr std::size_t kFrameHeader = 8;
inline constexpr std::size_t kPayloadMax = 16 * 1024;
// Longer free texts (reason, errorType) are cut to this; names are far below it.
inline constexpr std::size_t kTextMax = 1024;

// Appends the frame of `record` to `out`.
void encodeRecord(const Record& record, std::string& out);

// The payload of one record, without frame; what state_store keeps of recent invocations.
std::string encodePayload(const Record& record);
// Invalid: unknown version or type, truncated, or bytes left over.
Result<Record> decodePayload(std::string_view payload);

enum class FrameState {
  Complete,    // payload and size are set
  Incomplete,  // the bytes end inside the frame
  Damaged,     // impossible length or wrong checksum
};
struct Frame {
  FrameState state = FrameState::Incomplete;
  std::string_view payload;  // into the bytes given
  std::size_t size = 0;      // of the whole frame
};
// The frame that begins at bytes[0].
Frame readFrame(std::string_view bytes);

// CRC-32C (Castagnoli), as in iSCSI and ext4.
std::uint32_t crc32c(std::string_view bytes, std::uint32_t seed = 0);

}  // namespace okibi::ledger
