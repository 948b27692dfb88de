#pragma once
// The rule of the watchdog behind the shim, on what the driver itself says: over the slice plus an
// allowance in two samples, one after the other, and the instance is killed.

#include <optional>
#include <string>
#include <vector>

#include "gpu_bypass/testing_instance.h"

namespace okibi::bypass {

// Memory that the driver says `pid` uses, on all cards: from the fake machine's file, or from NVML.
// Nullopt: the driver does not know the process.
std::optional<Bytes> driverUse(const Instance& instance, pid_t pid);

// Watches until the probe has been killed for its use, or ends by itself. True: killed.
bool watchUntilEnd(const Instance& instance, Probe& probe, Bytes slice, Bytes allowance);

}  // namespace okibi::bypass
