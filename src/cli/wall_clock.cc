#include "cli/wall_clock.h"

#include <chrono>

namespace okibi::cli {

WallTime wallNow() {
  return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

}  // namespace okibi::cli
