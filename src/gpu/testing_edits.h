#pragma once
// For tests: device edits as text, one thing a line, to be compared whole.

#include <string>

#include <fmt/format.h>

#include "seams/device_edits.h"

namespace okibi::gpu {

inline std::string textOf(const seams::DeviceEdits& edits) {
  std::string out;
  for (const auto& path : edits.hidden) out += "hide " + path + "\n";
  for (const auto& path : edits.directories) out += "directory " + path + "\n";
  for (const auto& mount : edits.mounts) {
    out += fmt::format(
        "{} {} <- {}{}\n", mount.access == seams::MountAccess::ReadOnly ? "mount" : "mount-rw",
        mount.path, mount.hostPath, mount.ifAbsent == seams::IfAbsent::LeaveOut ? " if there" : "");
  }
  for (const auto& link : edits.links)
    out += fmt::format("link {} -> {}\n", link.path, link.target);
  for (const auto& node : edits.nodes)
    out += fmt::format("node {} <- {}\n", node.path, node.hostPath);
  for (const auto group : edits.groups) out += fmt::format("group {}\n", group);
  for (const auto& [name, value] : edits.environment)
    out += fmt::format("env {}={}\n", name, value);
  if (!edits.libraryPath.empty()) out += "libraries " + edits.libraryPath + "\n";
  return out;
}

}  // namespace okibi::gpu
