#pragma once
// FunctionSpec and Function from and to Function Compute's JSON (Function Compute: API). Which
// values are allowed is model/validation.h's matter; here: types, presence, and fields that could
// not act.
//
// What cannot act and would mislead if dropped (a VPC, mounts, layers, code) is refused by its path
// with InvalidArgument. What is harmless (role, logConfig, …) is kept in FunctionSpec::inertFields
// and returned. Unknown fields are ignored, as Function Compute does.

#include <string>
#include <string_view>

#include "base/result.h"
#include "model/function.h"
#include "model/resource.h"

namespace okibi::api {

Result<FunctionSpec> readNewFunction(std::string_view text);
// `current` with the fields that `text` names replaced.
Result<FunctionSpec> readFunctionUpdate(std::string_view text, const FunctionSpec& current);

// Full: one function. Listed: without the fields of its deployment.
enum class FunctionView { Full, Listed };
struct FunctionFacts {
  std::string_view region;
  std::string_view qualifier = {};  // in the ARN; empty: none
  const InvocationRestriction* restriction = nullptr;
};
std::string functionJson(const Function& function, const FunctionFacts& facts, FunctionView view);
// "acs:fc:{region}:{account}:functions/{name}[/{qualifier}]"
std::string functionArn(const FunctionRef& ref, std::string_view region,
                        std::string_view qualifier = {});

}  // namespace okibi::api
