#pragma once
// YAML values → JSON values by the fc3 schema: which fields are numbers or truth values, and which
// keys an object knows.

#include <string>
#include <string_view>

#include "base/result.h"
#include "cli/json_read.h"

namespace YAML {
class Node;
}

namespace okibi::cli {

// Replaces ${vars.a.b} (from `vars`) and ${env(NAME)}. Invalid: unknown ones.
Result<std::string> substitute(std::string_view text, const YAML::Node& vars);

struct YamlPlace {
  std::string shown;   // "resources.infer.props.gpuConfig", for messages
  std::string schema;  // "gpuConfig": path below props; "" is props itself
};
Result<Json> toJson(const YAML::Node& node, const YamlPlace& place, const YAML::Node& vars);

// Invalid unless `key` is among `known` (blank separated), with the nearest one suggested.
Result<void> checkKey(std::string_view key, std::string_view known, const std::string& place);

}  // namespace okibi::cli
