#include "cli/json_read.h"

#include <fmt/format.h>

namespace okibi::cli {

const Json* field(const Json& object, std::string_view name) {
  if (!object.is_object()) return nullptr;
  const Json* found = object.get_object().if_contains(name);
  return found == nullptr || found->is_null() ? nullptr : found;
}

std::string text(const Json& object, std::string_view name) {
  const Json* found = field(object, name);
  if (found == nullptr) return "";
  if (found->is_string()) return std::string(found->get_string());
  if (found->is_double()) return fmt::format("{}", found->get_double());
  return boost::json::serialize(*found);
}

double number(const Json& object, std::string_view name) {
  const Json* found = field(object, name);
  if (found == nullptr || !found->is_number()) return 0;
  return found->to_number<double>();
}

bool isTrue(const Json& object, std::string_view name) {
  const Json* found = field(object, name);
  return found != nullptr && found->is_bool() && found->get_bool();
}

const boost::json::array& items(const Json& object, std::string_view name) {
  static const boost::json::array kNone;
  const Json* found = field(object, name);
  return found != nullptr && found->is_array() ? found->get_array() : kNone;
}

Json member(const Json& object, std::string_view name) {
  const Json* found = field(object, name);
  return found == nullptr ? Json() : *found;
}

}  // namespace okibi::cli
