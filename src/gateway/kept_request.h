#pragma once
// A whole HTTP request as bytes, for one that is kept until it is tried: request line and fields,
// one a line, an empty line, the body. Inside gateway only.

#include <string>
#include <string_view>

#include "base/result.h"
#include "net/http.h"

namespace okibi::gateway {

struct KeptRequest {
  net::RequestHead head;  // method, target and headers
  std::string body;
};

// REQUIRES: no line break in method, target or a field, as in every head that was let in.
std::string encodeRequest(const net::RequestHead& head, std::string_view body);
// Internal: not what encodeRequest() made.
Result<KeptRequest> decodeRequest(std::string_view text);

}  // namespace okibi::gateway
