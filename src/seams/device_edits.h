#pragma once
// What an instance is given of the host beside its image, as a pure description: the runtime
// carries it out while it builds the sandbox, and nothing else of the host is visible there.
// Written by gpu/ from CDI files or the driver's own files. Paths are absolute; `hostPath` on the
// host, `path` in the container.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace okibi::seams {

// A device node of the host, for reading and writing.
struct DeviceNode {
  std::string hostPath, path;
  bool operator==(const DeviceNode&) const = default;
};

enum class MountAccess : std::uint8_t { ReadOnly, ReadWrite };
// What to do where the container has no such path: make it, or leave the mount out. For files of
// /proc, which cannot be made.
enum class IfAbsent : std::uint8_t { Make, LeaveOut };
// A file or directory of the host.
struct HostMount {
  std::string hostPath, path;
  MountAccess access = MountAccess::ReadOnly;
  IfAbsent ifAbsent = IfAbsent::Make;
  bool operator==(const HostMount&) const = default;
};

struct Link {
  std::string path, target;
  bool operator==(const Link&) const = default;
};

struct DeviceEdits {
  // In the order they are carried out.
  std::vector<std::string> hidden;       // directories of the image, covered with nothing
  std::vector<std::string> directories;  // fresh and empty; read-only once the rest is in place
  std::vector<HostMount> mounts;
  std::vector<Link> links;  // in `directories`
  std::vector<DeviceNode> nodes;
  std::vector<std::uint32_t> groups;  // supplementary, of the application
  // Part of the environment that is given to the runtime, not carried out by it.
  std::vector<std::pair<std::string, std::string>> environment;
  std::string libraryPath;  // goes before LD_LIBRARY_PATH; empty: none
  bool operator==(const DeviceEdits&) const = default;
};

}  // namespace okibi::seams
