#pragma once
// The cards of this machine as the configuration wants them.

#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "daemon/config.h"
#include "seams/card_giver.h"
#include "seams/gpu_inventory.h"

namespace okibi::daemon {

// Simulated cards when there are any, and then nothing else; the driver's otherwise, and none where
// there is no driver.
std::unique_ptr<seams::GpuInventory> openInventory(const Config& config,
                                                   std::vector<Card> simulated);

// What gives them to sandboxes; null for simulated cards and for none. Fails when its place below
// the state directory cannot be made.
Result<std::unique_ptr<seams::CardGiver>> openGiver(const Config& config,
                                                    const seams::GpuInventory& inventory,
                                                    const std::filesystem::path& stateDirectory);

// A program or library that is installed in the same directory.
std::filesystem::path besideThisProgram(std::string_view name);

}  // namespace okibi::daemon
