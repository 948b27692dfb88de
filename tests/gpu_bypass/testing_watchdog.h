#pragma once
// The daemon's watchdog behind the shim (conductor/gpu_watchdog.h), fed with what the driver itself
// says of one probe.

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
