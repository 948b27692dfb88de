#include "cli/log_window.h"

#include <algorithm>

namespace okibi::cli {

std::size_t countKnown(const std::vector<std::string>& before,
                       const std::vector<std::string>& now) {
  for (std::size_t known = std::min(before.size(), now.size()); known > 0; --known) {
    if (std::equal(before.end() - static_cast<std::ptrdiff_t>(known), before.end(), now.begin())) {
      return known;
    }
  }
  return 0;
}

}  // namespace okibi::cli
