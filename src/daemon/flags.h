#pragma once
// The command line of `okibi serve`.

#include <optional>

#include "daemon/config.h"

namespace okibi::daemon {

// nullopt: already answered (help, or a usage error printed); `exitCode` is then set.
std::optional<Config> readFlags(int argc, char** argv, int& exitCode);

}  // namespace okibi::daemon
