#include "gateway/invocation_type.h"

#include <fmt/format.h>

#include "base/encoding.h"

namespace okibi::gateway {

bool isAsync(const net::RequestHead& head) {
  return equalsIgnoreCase(head.headers.getOr("x-fc-invocation-type", ""), "Async");
}

Result<void> checkInvocationType(const net::RequestHead& head) {
  const std::string_view type = head.headers.getOr("x-fc-invocation-type", "Sync");
  if (equalsIgnoreCase(type, "Sync") || isAsync(head)) return {};
  return fail(ErrorKind::Invalid,
              fmt::format("x-fc-invocation-type: '{}' is neither Sync nor Async", type),
              "InvalidArgument");
}

}  // namespace okibi::gateway
