#include "base/random.h"

#include <sys/random.h>

#include "base/check.h"

namespace okibi {

std::uint64_t systemRandomBits() {
  std::uint64_t bits = 0;
  const ssize_t got = getrandom(&bits, sizeof bits, 0);
  OKIBI_CHECK(got == sizeof bits, "getrandom gave {} bytes", got);
  return bits;
}

}  // namespace okibi
