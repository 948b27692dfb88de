#pragma once
// s.yaml (Serverless Devs, component fc3) → the bodies of the API requests that deploy it.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/json_read.h"

namespace okibi::cli {

struct TriggerPlan {
  std::string name;
  JsonObject create, update;  // bodies; triggerConfig is JSON text, as the API wants it
};

struct DomainPlan {
  std::string name;
  JsonObject body;  // for create and update alike, less the name
};

struct FunctionPlan {
  std::string resource;  // the key under `resources`
  std::string name;
  JsonObject create, update;
  std::vector<TriggerPlan> triggers;
  std::optional<DomainPlan> domain;
  std::vector<std::string> notes;  // what of the file has no effect here, and why
};

// Invalid: names the place ("resources.infer.props.cpu") and, for an unknown key, the nearest
// known.
// `${vars.x}` and `${env(X)}` are replaced.
Result<std::vector<FunctionPlan>> readDeployFile(std::string_view yaml);

}  // namespace okibi::cli
