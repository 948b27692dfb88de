// Routes with rewrite rules from the input, one text per line: route path, then match and
// replacement of an equal, a wildcard and a regular rule, then the request's target. What is
// accepted must give a target that begins with '/'; the limits on time are the fuzzer's own.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/encoding.h"
#include "conductor/domain_routes.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace okibi;
  const auto lines = split({reinterpret_cast<const char*>(data), size}, '\n');
  if (lines.size() < 8) return 0;
  const auto text = [&](std::size_t i) { return std::string(lines[i]); };
  DomainRoute route;
  route.path = text(0);
  route.function = "f";
  route.equal = {{text(1), text(2)}};
  route.wildcard = {{text(3), text(4)}};
  route.regex = {{text(5), text(6)}};
  const auto routes = conductor::DomainRoutes::compile({route});
  if (!routes) return 0;
  const std::string target = "/" + text(7);
  const auto way = routes->follow(target);
  if (way.route != nullptr && !way.target.starts_with('/')) std::abort();
  return 0;
}
