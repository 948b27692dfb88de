#pragma once
// The head of a request as a signature sees it.

#include <string>
#include <utility>
#include <vector>

namespace okibi::auth {

struct RequestHead {
  std::string method;  // "POST"
  std::string path;    // as sent, still percent-encoded, without query: "/2023-03-30/functions/f"
  std::string query;   // as sent, without '?'
  std::vector<std::pair<std::string, std::string>> headers;  // names in any case
};

// The signed part of a parsed head: whatever has a method, a path, a query and fields with name and
// value.
template <typename Head>
RequestHead signedPart(const Head& head) {
  RequestHead out{head.method, std::string(head.path()), std::string(head.query()), {}};
  for (const auto& field : head.headers) out.headers.emplace_back(field.name, field.value);
  return out;
}

}  // namespace okibi::auth
