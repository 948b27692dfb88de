#include "base/crc64.h"

#include <array>

namespace okibi {

std::uint64_t crc64(std::string_view bytes) {
  constexpr std::uint64_t kPolynomial = 0xc96c5795d7870f42;
  static constexpr auto kTable = [] {
    std::array<std::uint64_t, 256> table{};
    for (std::uint64_t i = 0; i < table.size(); ++i) {
      std::uint64_t value = i;
      for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) ? kPolynomial : 0);
      table[i] = value;
    }
    return table;
  }();
  std::uint64_t crc = ~std::uint64_t{0};
  for (const char c : bytes) {
    crc = (crc >> 8) ^ kTable[(crc ^ static_cast<unsigned char>(c)) & 255];
  }
  return ~crc;
}

}  // namespace okibi
