#include "gpu/text_file.h"

#include <fstream>

namespace okibi::gpu {

std::optional<std::string> readText(const std::filesystem::path& file) {
  constexpr std::size_t kMost = std::size_t{4} << 20;
  std::ifstream in(file, std::ios::binary);
  if (!in) return std::nullopt;
  std::string text;
  char piece[16 * 1024];
  while (in.read(piece, sizeof(piece)) || in.gcount() > 0) {
    text.append(piece, static_cast<std::size_t>(in.gcount()));
    if (text.size() > kMost) return std::nullopt;
  }
  if (in.bad()) return std::nullopt;
  return text;
}

}  // namespace okibi::gpu
