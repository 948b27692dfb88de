#pragma once
// Small files of /proc, /sys and /etc, whole.

#include <filesystem>
#include <optional>
#include <string>

namespace okibi::gpu {

// nullopt when it cannot be read or is larger than 4 MiB.
std::optional<std::string> readText(const std::filesystem::path& file);

}  // namespace okibi::gpu
