// The body of a TLS server_name extension: what is read out of it is a printable text in lower case
// that the input holds, and nothing crashes.

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "base/encoding.h"
#include "net/tls.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto name = okibi::net::readServerName({data, size});
  if (!name) return 0;
  const std::string all = okibi::toLower({reinterpret_cast<const char*>(data), size});
  if (name->empty() || name->size() > 255 || !all.ends_with(*name)) std::abort();
  return 0;
}
