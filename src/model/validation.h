#pragma once
// The rules a function must keep to be deployed on this machine. Pure. Every refusal names field,
// value and allowed range (kind Invalid).

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/function.h"
#include "model/gpu_spec.h"
#include "model/trigger.h"

namespace okibi {

// What the machine can give one instance at most.
struct MachineCapacity {
  int cpus = 1;
  Bytes memory;
  std::span<const Card> cards;
};

// First broken rule, or nothing.
Result<void> validateFunctionName(std::string_view name);
Result<void> validateAliasName(std::string_view name);
Result<void> validate(const FunctionSpec& spec, const MachineCapacity& machine);
Result<void> validate(const Trigger& trigger);

// The cards of a machine in words: "2 × fc.gpu.tesla.1 (16 GB, simulated)"; "no GPU" for none.
std::string describeCards(std::span<const Card> cards);

}  // namespace okibi
