// Kernels of this tree's own programs, done by the host, so that those programs can be held to
// their results without a card. Any other kernel does nothing for the time `launchUs` says.

#include <cstring>

#include "fake_driver/cuda/driver.h"

namespace okibi::fake {
namespace {

using Arguments = std::vector<std::uint64_t>;

template <class T>
T* pointer(std::uint64_t argument) {
  return reinterpret_cast<T*>(argument);
}

// (ns): keeps the card busy.
std::uint64_t spin(const Arguments& arguments) {
  return arguments[0];
}

// (u32* data, u64 count): adds one to each.
std::uint64_t increment(const Arguments& arguments) {
  auto* data = pointer<std::uint32_t>(arguments[0]);
  for (std::uint64_t i = 0; i < arguments[1]; ++i) ++data[i];
  return 0;
}

// (f32* a, f32* b, f32* c, u32 n): c = a * b, n by n.
std::uint64_t matmul(const Arguments& arguments) {
  const auto *a = pointer<float>(arguments[0]), *b = pointer<float>(arguments[1]);
  auto* c = pointer<float>(arguments[2]);
  const std::uint64_t n = arguments[3];
  for (std::uint64_t row = 0; row < n; ++row) {
    for (std::uint64_t column = 0; column < n; ++column) {
      float sum = 0;
      for (std::uint64_t k = 0; k < n; ++k) sum += a[row * n + k] * b[k * n + column];
      c[row * n + column] = sum;
    }
  }
  return 0;
}

struct Known {
  std::size_t arguments;
  std::uint64_t (*run)(const Arguments&);
};

}  // namespace

std::uint64_t runKernel(const std::string& name, const std::vector<std::uint64_t>& arguments) {
  static const std::map<std::string, Known> known = {{"okibi_spin", {1, spin}},
                                                     {"okibi_increment", {2, increment}},
                                                     {"okibi_matmul", {4, matmul}}};
  const auto found = known.find(name);
  if (found == known.end() || found->second.arguments != arguments.size())
    return settings().launchNs;
  return found->second.run(arguments);
}

}  // namespace okibi::fake
