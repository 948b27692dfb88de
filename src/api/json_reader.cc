#include "api/json_reader.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "conductor/error_answer.h"

namespace okibi::api {
namespace {

constexpr std::int64_t kLargest = 1'000'000'000;

std::string_view nameOf(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return "null";
    case json::kind::bool_:
      return "a boolean";
    case json::kind::string:
      return "text";
    case json::kind::array:
      return "a list";
    case json::kind::object:
      return "an object";
    default:
      return "a number";
  }
}

}  // namespace

void Complaints::add(std::string_view path, std::string_view what) {
  lines_.push_back(fmt::format("{}: {}", path, what));
}

Result<void> Complaints::verdict() const {
  if (lines_.empty()) return {};
  return fail(ErrorKind::Invalid, fmt::format("{}", fmt::join(lines_, "; ")), "InvalidArgument");
}

bool isUnset(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return true;
    case json::kind::bool_:
      return !value.get_bool();
    case json::kind::string:
      return value.get_string().empty();
    case json::kind::array:
      return value.get_array().empty();
    case json::kind::object:
      return std::ranges::all_of(value.get_object(),
                                 [](const auto& member) { return isUnset(member.value()); });
    case json::kind::int64:
      return value.get_int64() == 0;
    case json::kind::uint64:
      return value.get_uint64() == 0;
    case json::kind::double_:
      return value.get_double() == 0;
  }
  return false;
}

const json::value* Reader::find(std::string_view key) const {
  const json::value* value = object_->if_contains(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

bool Reader::hasValue(std::string_view key) const {
  const json::value* value = find(key);
  return value != nullptr && !isUnset(*value);
}

std::vector<std::string> Reader::keys() const {
  std::vector<std::string> out;
  for (const auto& member : *object_) out.emplace_back(member.key());
  return out;
}

std::string Reader::pathOf(std::string_view key) const {
  return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
}

void Reader::complain(std::string_view key, std::string_view what) const {
  complaints_->add(pathOf(key), what);
}

void Reader::wrongType(std::string_view key, std::string_view wanted,
                       const json::value& value) const {
  complain(key, fmt::format("must be {}, not {}", wanted, nameOf(value)));
}

std::optional<std::string> Reader::text(std::string_view key) const {
  const json::value* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (const json::string* text = value->if_string()) return std::string(*text);
  wrongType(key, "text", *value);
  return std::nullopt;
}

std::optional<double> Reader::number(std::string_view key) const {
  const json::value* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) {
    wrongType(key, "a number", *value);
    return std::nullopt;
  }
  const auto number = value->to_number<double>();
  if (std::isfinite(number) && std::abs(number) <= kLargest) return number;
  complain(key, "is too large");
  return std::nullopt;
}

std::optional<std::int64_t> Reader::integer(std::string_view key) const {
  const json::value* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) {
    wrongType(key, "a whole number", *value);
    return std::nullopt;
  }
  const auto wanted = number(key);
  if (!wanted) return std::nullopt;
  if (*wanted == std::trunc(*wanted)) return static_cast<std::int64_t>(*wanted);
  complain(key, fmt::format("must be a whole number, not {}", *wanted));
  return std::nullopt;
}

std::optional<bool> Reader::boolean(std::string_view key) const {
  const json::value* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (const bool* yes = value->if_bool()) return *yes;
  wrongType(key, "true or false", *value);
  return std::nullopt;
}

std::optional<std::vector<std::string>> Reader::texts(std::string_view key) const {
  const json::value* value = find(key);
  if (value == nullptr) return std::nullopt;
  const json::array* array = value->if_array();
  if (array == nullptr) {
    wrongType(key, "a list of texts", *value);
    return std::nullopt;
  }
  std::vector<std::string> out;
  for (const json::value& item : *array) {
    if (const json::string* text = item.if_string()) {
      out.emplace_back(*text);
    } else {
      wrongType(fmt::format("{}[{}]", key, out.size()), "text", item);
      return std::nullopt;
    }
  }
  return out;
}

std::optional<std::map<std::string, std::string>> Reader::textMap(std::string_view key) const {
  const auto reader = object(key);
  if (!reader) return std::nullopt;
  std::map<std::string, std::string> out;
  for (const auto& member : *reader->object_) {
    if (const json::string* text = member.value().if_string()) {
      out.emplace(member.key(), *text);
    } else {
      reader->wrongType(member.key(), "text", member.value());
    }
  }
  return out;
}

std::optional<Reader> Reader::object(std::string_view key) const {
  const json::value* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (const json::object* inner = value->if_object()) {
    return Reader(*inner, *complaints_, pathOf(key));
  }
  wrongType(key, "an object", *value);
  return std::nullopt;
}

std::optional<std::vector<Reader>> Reader::objects(std::string_view key) const {
  const json::value* value = find(key);
  if (value == nullptr) return std::nullopt;
  const json::array* array = value->if_array();
  if (array == nullptr) {
    wrongType(key, "a list of objects", *value);
    return std::nullopt;
  }
  std::vector<Reader> out;
  for (const json::value& item : *array) {
    const std::string place = fmt::format("{}[{}]", key, out.size());
    if (const json::object* inner = item.if_object()) {
      out.emplace_back(*inner, *complaints_, pathOf(place));
    } else {
      wrongType(place, "an object", item);
      return std::nullopt;
    }
  }
  return out;
}

Result<json::object> parseObject(std::string_view text, std::string_view what) {
  boost::system::error_code error;
  json::value value = json::parse(text, error);
  if (error) {
    return fail(ErrorKind::Invalid, fmt::format("{}: is not JSON: {}", what, error.message()),
                "InvalidArgument");
  }
  if (!value.is_object()) {
    return fail(ErrorKind::Invalid,
                fmt::format("{}: must be an object, not {}", what, nameOf(value)),
                "InvalidArgument");
  }
  return std::move(value.get_object());
}

json::string toJsonText(std::string_view text) {
  // Quoting replaces what is not UTF-8; parsing takes the quotes off again.
  return json::parse(jsonQuote(text)).get_string();
}

}  // namespace okibi::api
