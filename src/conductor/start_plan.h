#pragma once
// What a sandbox needs, from a function's spec and its image. Pure. Rules: Function Compute: custom
// containers (environment), Docker's for entrypoint and command.

#include <memory>
#include <string>

#include "base/result.h"
#include "conductor/instance.h"
#include "seams/instance_runtime.h"

namespace okibi::conductor {

struct Labels {
  std::string account, region;
  std::shared_ptr<const Credentials> credentials = nullptr;  // null: none
};

// Invalid when neither image nor function says what to run.
Result<seams::InstanceSpec> planStart(const Instance& instance, const Labels& labels);

// Puts what a card needs into the sandbox: over what image and function say, except that their
// library directories come after the card's.
void giveDevices(seams::InstanceSpec& spec, seams::DeviceEdits edits);

// "c-" and 8, 16 and 12 hex digits, as Function Compute names instances.
std::string makeInstanceName(std::uint64_t high, std::uint64_t low);

}  // namespace okibi::conductor
