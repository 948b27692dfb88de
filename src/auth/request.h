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

}  // namespace okibi::auth
