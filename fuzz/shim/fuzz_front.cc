// Arbitrary bytes as a driver's library. What can be read as one gets a front, and the front
// exports what the library does: read back, it has the same functions and the same name.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "shim/front_writer.h"

using namespace okibi;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto exports = shim::exportsOf(std::string(reinterpret_cast<const char*>(data), size));
  if (!exports) return 0;
  shim::FrontPlan plan;
  plan.exports = *exports;
  plan.exports.soname = "libcuda.so.1";
  plan.shimPath = "/shim";
  plan.realPath = "/real";
  plan.budgetPath = "/budget";
  const auto again = shim::exportsOf(shim::buildFront(plan));
  if (!again || again->functions != exports->functions || again->soname != plan.exports.soname) {
    std::abort();
  }
  return 0;
}
