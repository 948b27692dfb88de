#pragma once
// CDI specifications: how a vendor says what a container needs for a device (Container Device
// Interface, SPEC.md 1.1.0). Read strictly: a field that is not known here, or not in the version
// the file declares, refuses the file, because what is left out may be what makes it safe. Pure.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace okibi::gpu {

struct CdiDeviceNode {
  std::string path, hostPath;  // hostPath: as path when the file has none
  std::string permissions;     // of "rwm"; empty: all
  bool operator==(const CdiDeviceNode&) const = default;
};
struct CdiMount {
  std::string hostPath, containerPath, type;
  std::vector<std::string> options;
  bool operator==(const CdiMount&) const = default;
};
// Read, so that a file with hooks is a good one, and never run.
struct CdiHook {
  std::string name, path;
  std::vector<std::string> arguments;
  bool operator==(const CdiHook&) const = default;
};

struct CdiEdits {
  std::vector<std::pair<std::string, std::string>> environment;
  std::vector<CdiDeviceNode> nodes;
  std::vector<CdiMount> mounts;
  std::vector<CdiHook> hooks;
  std::vector<std::uint32_t> groups;
  bool operator==(const CdiEdits&) const = default;
};

struct CdiSpec {
  std::string version, kind;  // "1.1.0", "nvidia.com/gpu"
  std::map<std::string, CdiEdits> devices;
  CdiEdits common;  // for every container that gets any of its devices
};

// JSON or YAML (of which JSON is a part). Invalid names the field and what is wrong with it.
Result<CdiSpec> parseCdi(const std::string& text);

}  // namespace okibi::gpu
