#pragma once
// The operations of API 2023-03-30 that are served, by method and path: what a role allows is said
// in their names (docs/openapi.json has the same table for people). Inside api only.

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace okibi::api {

struct Operation {
  std::string_view method, path, action;  // path: without version, "functions/{functionName}"
};
std::span<const Operation> operations();

// `path`: decoded, as in Call. Empty: no operation is there.
std::string_view actionOf(std::string_view method, const std::vector<std::string>& path);

}  // namespace okibi::api
