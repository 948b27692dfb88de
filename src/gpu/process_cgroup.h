#pragma once
// Which control group a process is in, so that what processes hold on a card can be summed per
// instance. Any thread.

#include <filesystem>
#include <string>
#include <string_view>

namespace okibi::gpu {

// From the text of /proc/PID/cgroup: the path in the unified hierarchy, unless the process is in
// its root, as on machines that keep their controllers in v1; then the path of the memory
// controller. Empty: neither is there.
std::string cgroupFrom(std::string_view text);

// Of a live process; empty when it is gone. `procRoot`: "/proc".
std::string cgroupOf(const std::filesystem::path& procRoot, int pid);

// The directory of its group in the unified hierarchy, where that is mounted whole: what the driver
// calls a group by. Empty: it is gone, is in the root, or there is no unified hierarchy.
std::string unifiedDirectoryOf(const std::filesystem::path& procRoot, int pid);

}  // namespace okibi::gpu
