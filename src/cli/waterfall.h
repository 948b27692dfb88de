#pragma once
// A cold start as a bar: one letter per phase, as long as the phase took.

#include <algorithm>
#include <array>
#include <string>

namespace okibi::cli {

struct WaterfallPart {
  char letter;
  double ms;
};

// The parts one after another, `width` letters for `wholeMs`. The lengths are those of the running
// sum, so that they never add up to more; a part too short for a letter has none.
template <std::size_t N>
std::string waterfall(const std::array<WaterfallPart, N>& parts, double wholeMs,
                      std::size_t width) {
  std::string bar;
  double sum = 0;
  for (const WaterfallPart& part : parts) {
    sum += part.ms;
    const double end = wholeMs > 0 ? sum / wholeMs * static_cast<double>(width) + 0.5 : 0;
    bar.resize(std::max(bar.size(), std::min(static_cast<std::size_t>(end), width)), part.letter);
  }
  return bar;
}

}  // namespace okibi::cli
