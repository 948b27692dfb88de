#include "gpu/process_cgroup.h"

#include <algorithm>

#include "base/encoding.h"
#include "gpu/text_file.h"

namespace okibi::gpu {

namespace {

// "31 23 0:27 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw": root and place of the mount, and
// behind the dash the kind of file system.
std::string unifiedMount(std::string_view mounts) {
  for (std::string_view line : split(mounts, '\n')) {
    const std::size_t dash = line.find(" - ");
    if (dash == std::string_view::npos || !line.substr(dash).starts_with(" - cgroup2 ")) continue;
    const auto words = split(line.substr(0, dash), ' ');
    if (words.size() > 4 && words[3] == "/") return std::string(words[4]);
  }
  return {};
}

std::string_view unifiedPath(std::string_view text) {
  for (std::string_view line : split(text, '\n')) {
    if (line.starts_with("0::")) return line.substr(3);
  }
  return {};
}

}  // namespace

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

std::string unifiedDirectoryOf(const std::filesystem::path& procRoot, int pid) {
  const auto text = readText(procRoot / std::to_string(pid) / "cgroup");
  const std::string_view path = text ? unifiedPath(*text) : std::string_view();
  const std::string mount = unifiedMount(readText(procRoot / "self/mountinfo").value_or(""));
  if (path.size() < 2 || mount.empty()) return {};
  return mount + std::string(path);
}

}  // namespace okibi::gpu
