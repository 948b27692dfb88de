#pragma once
// Reader: takes fields out of a JSON object and collects what is wrong with them, each with its
// path ("customContainerConfig.port: must be a whole number, not text"). null counts as absent.
// Inside api only.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json.hpp>

#include "base/result.h"

namespace okibi::api {

namespace json = boost::json;

// The errors of one document, as one refusal.
class Complaints {
 public:
  void add(std::string_view path, std::string_view what);
  bool empty() const { return lines_.empty(); }
  // Nothing, or Invalid/InvalidArgument with every line.
  Result<void> verdict() const;

 private:
  std::vector<std::string> lines_;
};

class Reader {
 public:
  Reader(const json::object& object, Complaints& complaints, std::string path = {})
      : object_(&object), complaints_(&complaints), path_(std::move(path)) {}

  bool has(std::string_view key) const { return find(key) != nullptr; }
  // Whether the value is one that clients send for "not set": "", 0, false, {}, [], or an object of
  // such values.
  bool hasValue(std::string_view key) const;
  const json::value* find(std::string_view key) const;

  std::optional<std::string> text(std::string_view key) const;
  std::optional<std::int64_t> integer(std::string_view key) const;  // at most 10^9 in size
  std::optional<double> number(std::string_view key) const;
  std::optional<bool> boolean(std::string_view key) const;
  std::optional<std::vector<std::string>> texts(std::string_view key) const;
  std::optional<std::map<std::string, std::string>> textMap(std::string_view key) const;
  std::optional<Reader> object(std::string_view key) const;
  std::optional<std::vector<Reader>> objects(std::string_view key) const;

  std::string pathOf(std::string_view key) const;
  void complain(std::string_view key, std::string_view what) const;
  bool empty() const { return object_->empty(); }
  std::vector<std::string> keys() const;

 private:
  void wrongType(std::string_view key, std::string_view wanted, const json::value& value) const;

  const json::object* object_;
  Complaints* complaints_;
  std::string path_;
};

bool isUnset(const json::value& value);

// Invalid when it is not JSON, or not an object; `what` names the document.
Result<json::object> parseObject(std::string_view text, std::string_view what);

// Valid JSON whatever bytes the text holds.
json::string toJsonText(std::string_view text);

}  // namespace okibi::api
