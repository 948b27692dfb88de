#pragma once
// Reading answers: a missing or odd field is empty or zero, so that a newer daemon never breaks an
// older client.

#include <string>
#include <string_view>
#include <vector>

#include <boost/json.hpp>

namespace okibi::cli {

using Json = boost::json::value;
using JsonObject = boost::json::object;

const Json* field(const Json& object, std::string_view name);  // nullptr: not there, or null
std::string text(const Json& object, std::string_view name);   // numbers as text, too
double number(const Json& object, std::string_view name);
bool isTrue(const Json& object, std::string_view name);
const boost::json::array& items(const Json& object, std::string_view name);
Json member(const Json& object, std::string_view name);  // null if not there

}  // namespace okibi::cli
