#pragma once
// The CDI description of a machine's NVIDIA cards, made from the driver's own files where nobody
// has written a CDI file. Reads only below `root`, which is "/" except in tests.

#include <filesystem>
#include <vector>

#include "base/result.h"
#include "gpu/cdi_spec.h"
#include "seams/gpu_inventory.h"

namespace okibi::gpu {

// One device for each card, by its UUID: /dev/nvidiaN, for a partition the two capability nodes;
// in common /dev/nvidiactl, /dev/nvidia-uvm, and the compute libraries of the loaded driver's
// version. Unavailable: no driver is loaded, or its libraries are not found; names what is missing.
Result<CdiSpec> describeDriver(const std::filesystem::path& root,
                               const std::vector<seams::CardFacts>& cards);

// "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build …" →
// "580.95.05"; empty: not there.
std::string driverVersionFrom(std::string_view text);

}  // namespace okibi::gpu
