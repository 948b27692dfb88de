#include "api/call.h"

#include <charconv>

#include <fmt/format.h>

#include "api/json_reader.h"
#include "base/encoding.h"

namespace okibi::api {

std::unexpected<Error> notSupported(const Call& call) {
  return fail(ErrorKind::Invalid,
              fmt::format("'{}' against '{}' is not supported", call.target, call.method),
              "PathNotSupported");
}

Result<std::string> qualifierOf(const Call& call) {
  const std::string* qualifier = call.parameter("qualifier");
  const std::string name(qualifier == nullptr ? kLatest : *qualifier);
  if (auto exists = call.conductor.checkQualifier(call.function(), name); !exists) {
    return fail(exists.error());
  }
  return name;
}

Result<bool> flagOf(const Call& call, const char* key) {
  const std::string* text = call.parameter(key);
  if (text == nullptr || *text == "false") return false;
  if (*text == "true") return true;
  return fail(ErrorKind::Invalid, fmt::format("{}: '{}' is neither true nor false", key, *text),
              "InvalidArgument");
}

Result<std::size_t> limitOf(const Call& call, std::size_t fallback, std::size_t most,
                            const char* key) {
  const std::string* text = call.parameter(key);
  if (text == nullptr) return fallback;
  std::size_t limit = 0;
  const char* end = text->data() + text->size();
  const auto [stop, error] = std::from_chars(text->data(), end, limit);
  if (error == std::errc() && stop == end && limit >= 1 && limit <= most) return limit;
  return fail(ErrorKind::Invalid, fmt::format("{}: '{}' is not in 1–{}", key, *text, most),
              "InvalidArgument");
}

Result<Answer> answerPage(const Call& call, std::string_view key, const NamedItems& items,
                          json::object more) {
  const auto limit = limitOf(call, 20, 100);
  if (!limit) return fail(limit.error());
  const std::string* prefix = call.parameter("prefix");
  const std::string* token = call.parameter("nextToken");
  json::array page;
  std::string last;
  bool started = token == nullptr;
  for (const auto& [name, item] : items) {
    const bool shown = started && (prefix == nullptr || name.starts_with(*prefix));
    if (token != nullptr && name == *token) started = true;
    if (!shown) continue;
    if (page.size() == *limit) {
      // One more follows, so the token (the last name shown) is not idle.
      more["nextToken"] = toJsonText(last);
      break;
    }
    page.push_back(item());
    last = name;
  }
  more[key] = std::move(page);
  return ok(json::serialize(more));
}

Result<QueryPairs> readQueryPairs(std::string_view query) {
  QueryPairs out;
  if (query.empty()) return out;
  for (std::string_view pair : split(query, '&')) {
    if (pair.empty()) continue;
    const auto equals = pair.find('=');
    auto key = percentDecode(pair.substr(0, equals));
    auto value = percentDecode(equals == std::string_view::npos ? std::string_view()
                                                                : pair.substr(equals + 1));
    if (!key || !value) {
      return fail(ErrorKind::Invalid, fmt::format("query: broken escape in '{}'", pair),
                  "InvalidArgument");
    }
    out.emplace_back(std::move(*key), std::move(*value));
  }
  return out;
}

Result<std::map<std::string, std::string>> readQuery(std::string_view query) {
  auto pairs = readQueryPairs(query);
  if (!pairs) return fail(std::move(pairs.error()));
  std::map<std::string, std::string> out;
  for (auto& [key, value] : *pairs) out[std::move(key)] = std::move(value);
  return out;
}

Result<std::vector<std::string>> readPath(std::string_view path) {
  std::vector<std::string> out;
  if (path.ends_with('/')) path.remove_suffix(1);
  if (path.empty()) return out;
  for (std::string_view part : split(path, '/')) {
    auto text = percentDecode(part);
    if (!text) {
      return fail(ErrorKind::Invalid, fmt::format("path: broken escape in '{}'", part),
                  "InvalidArgument");
    }
    out.push_back(std::move(*text));
  }
  return out;
}

}  // namespace okibi::api
