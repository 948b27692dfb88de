#pragma once
// CRC-64 of ECMA-182 as XZ computes it (reflected).

#include <cstdint>
#include <string_view>

namespace okibi {

std::uint64_t crc64(std::string_view bytes);

}  // namespace okibi
