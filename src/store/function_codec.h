#pragma once
// FunctionSpec, HttpTriggerConfig and the resources as JSON text, for the database only: units are
// whole bytes, seconds and thousandths of a vCPU, every field is written, and reading is strict.

#include <string>
#include <string_view>

#include "base/result.h"
#include "model/function.h"
#include "model/resource.h"
#include "model/trigger.h"

namespace okibi::store {

std::string encodeSpec(const FunctionSpec& spec);
Result<FunctionSpec> decodeSpec(std::string_view json);  // Invalid names the field

std::string encodeHttpTrigger(const HttpTriggerConfig& config);
Result<HttpTriggerConfig> decodeHttpTrigger(std::string_view json);

std::string encodeTimer(const TimerConfig& config);
Result<TimerConfig> decodeTimer(std::string_view json);

std::string encodeResource(const Resource& resource);
// `kind`: one of kResourceKinds.
Result<Resource> decodeResource(std::string_view kind, std::string_view json);

}  // namespace okibi::store
