#include "gpu/process_cgroup.h"

#include <algorithm>

#include "base/encoding.h"
#include "gpu/text_file.h"

namespace okibi::gpu {

std::string cgroupFrom(std::string_view text) {
  std::string_view unified, memory;
  for (std::string_view line : split(text, '\n')) {
    // "4:cpu,memory:/a/b", "0::/a/b"
    const std::size_t first = line.find(':');
    if (first == std::string_view::npos) continue;
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    if (controllers.empty()) unified = line.substr(second + 1);
    const auto names = split(controllers, ',');
    if (std::ranges::find(names, "memory") != names.end()) memory = line.substr(second + 1);
  }
  return std::string(unified.empty() || (unified == "/" && !memory.empty()) ? memory : unified);
}

std::string cgroupOf(const std::filesystem::path& procRoot, int pid) {
  return cgroupFrom(readText(procRoot / std::to_string(pid) / "cgroup").value_or(""));
}

}  // namespace okibi::gpu
