#include "gpu/card_edits.h"

#include <algorithm>
#include <array>
#include <cctype>

#include <fmt/format.h>

#include "base/encoding.h"

namespace okibi::gpu {
namespace {

using seams::DeviceEdits;

// A library of the driver that computing needs, and the names that programs and the other libraries
// open it by.
struct Library {
  std::string_view stem;
  std::vector<std::string_view> names;
};
const std::array<Library, 7>& libraries() {
  static const std::array<Library, 7> kLibraries{{
      {"libcuda.so", {"libcuda.so.1", "libcuda.so"}},
      {"libnvidia-ml.so", {"libnvidia-ml.so.1", "libnvidia-ml.so"}},
      {"libnvidia-ptxjitcompiler.so", {"libnvidia-ptxjitcompiler.so.1"}},
      {"libnvidia-nvvm.so", {"libnvidia-nvvm.so.4"}},
      {"libnvidia-gpucomp.so", {}},
      {"libcudadebugger.so", {"libcudadebugger.so.1"}},
      {"libnvidia-opencl.so", {"libnvidia-opencl.so.1"}},
  }};
  return kLibraries;
}

std::string_view fileName(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

bool allDigits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](unsigned char c) { return isdigit(c); });
}

// N of "/dev/nvidiaN"; nullopt: another node.
std::optional<std::string_view> cardNode(std::string_view path) {
  constexpr std::string_view kPrefix = "/dev/nvidia";
  if (!path.starts_with(kPrefix) || !allDigits(path.substr(kPrefix.size()))) return std::nullopt;
  return path.substr(kPrefix.size());
}

// "libcuda.so.580.95.05" is of "libcuda.so"; "libcuda.so.1", a link in some descriptions, is not.
const Library* libraryAt(std::string_view path) {
  const std::string_view name = fileName(path);
  for (const Library& library : libraries()) {
    if (!name.starts_with(library.stem) || name.size() <= library.stem.size()) continue;
    const std::string_view version = name.substr(library.stem.size());
    if (version.starts_with('.') && version.substr(1).find('.') != std::string_view::npos) {
      return &library;
    }
  }
  return nullptr;
}

std::string at(std::string_view directory, std::string_view name) {
  return fmt::format("{}/{}", directory, name);
}

template <typename F>
void eachNode(const CdiDevice& device, F visit) {
  for (const CdiEdits* edits : {&device.common, &device.own}) {
    for (const CdiDeviceNode& node : edits->nodes) visit(node, edits == &device.own);
  }
}

// A later one for the same place wins, as the specification says.
void addNode(DeviceEdits& edits, const CdiDeviceNode& node) {
  std::erase_if(edits.nodes, [&](const seams::DeviceNode& one) { return one.path == node.path; });
  edits.nodes.push_back({node.hostPath, node.path});
}

void addMount(DeviceEdits& edits, seams::HostMount mount) {
  std::erase_if(edits.mounts, [&](const auto& one) { return one.path == mount.path; });
  edits.mounts.push_back(std::move(mount));
}

// False: the card's own node is not among them.
bool addNvidiaNodes(DeviceEdits& edits, const CdiDevice& device, const seams::CardFacts& facts) {
  const std::string own = fmt::format("/dev/nvidia{}", facts.minorNumber.value_or(-1));
  bool found = false;
  eachNode(device, [&](const CdiDeviceNode& node, bool ofDevice) {
    const bool shared = node.path == "/dev/nvidiactl" || node.path == "/dev/nvidia-uvm";
    const bool capability =
        ofDevice && facts.mig && node.path.starts_with("/dev/nvidia-caps/nvidia-cap");
    if (node.path == own) found = true;
    if (node.path == own || shared || capability) addNode(edits, node);
  });
  return found;
}

// The front for it, where the shim has one.
const std::string* frontFor(const Library& library, const ShimFiles& shim) {
  if (library.stem == "libcuda.so") return &shim.cudaFront;
  if (library.stem == "libnvidia-ml.so") return &shim.nvmlFront;
  return nullptr;
}

void addLibrary(DeviceEdits& edits, const Library& library, const CdiMount& mount,
                const std::optional<ShimFiles>& shim) {
  const std::string name(fileName(mount.containerPath));
  const std::string path = at(kLibraryDirectory, name);
  const bool there =
      std::ranges::any_of(edits.mounts, [&](const auto& m) { return m.path == path; });
  if (there) return;
  const std::string* front = shim ? frontFor(library, *shim) : nullptr;
  addMount(edits, {front ? *front : mount.hostPath, path});
  if (front) addMount(edits, {mount.hostPath, at(kPrivateDirectory, library.names.front())});
  for (std::string_view link : library.names) {
    edits.links.push_back({at(kLibraryDirectory, link), name});
  }
}

}  // namespace

std::optional<CdiDevice> nvidiaDevice(const CdiRegistry& registry, const seams::CardFacts& facts) {
  constexpr const char* kKind = "nvidia.com/gpu";
  if (auto named = registry.find(kKind, facts.card.uuid)) return named;
  if (facts.mig || !facts.minorNumber) return std::nullopt;
  const std::string minor = std::to_string(*facts.minorNumber);
  for (CdiDevice& device : registry.devicesOf(kKind)) {
    bool has = false, others = false, partition = false;
    for (const CdiDeviceNode& node : device.own.nodes) {
      const auto number = cardNode(node.path);
      if (number) (*number == minor ? has : others) = true;
      if (node.path.starts_with("/dev/nvidia-caps/")) partition = true;
    }
    if (has && !others && !partition) return std::move(device);
  }
  return std::nullopt;
}

Result<DeviceEdits> nvidiaEdits(const CdiDevice& device, const seams::CardFacts& facts,
                                const DriverProc& proc, const std::optional<ShimFiles>& shim) {
  DeviceEdits edits;
  if (!addNvidiaNodes(edits, device, facts)) {
    return fail(ErrorKind::Unavailable,
                fmt::format("the description of {} does not have its node /dev/nvidia{}",
                            facts.card.uuid, facts.minorNumber.value_or(-1)));
  }
  // An image's own libcuda, for drivers older than its toolkit, would come before ours.
  edits.hidden.emplace_back("/usr/local/cuda/compat");
  edits.directories.emplace_back(kLibraryDirectory);
  if (shim) edits.directories.emplace_back(kPrivateDirectory);
  for (const CdiEdits* part : {&device.common, &device.own}) {
    for (const CdiMount& mount : part->mounts) {
      const Library* library = libraryAt(mount.containerPath);
      if (library != nullptr) addLibrary(edits, *library, mount, shim);
    }
  }
  const std::string cuda = at(kLibraryDirectory, "libcuda.so.1");
  if (std::ranges::find(edits.links, cuda, &seams::Link::path) == edits.links.end()) {
    return fail(ErrorKind::Unavailable,
                fmt::format("the description of {} does not have libcuda", facts.card.uuid));
  }
  if (shim) addMount(edits, {shim->library, std::string(kShimPath)});
  addMount(edits, {proc.params, "/proc/driver/nvidia/params", seams::MountAccess::ReadOnly,
                   seams::IfAbsent::LeaveOut});
  addMount(edits, {proc.cards, "/proc/driver/nvidia/gpus", seams::MountAccess::ReadOnly,
                   seams::IfAbsent::LeaveOut});
  edits.environment.emplace_back("NVIDIA_VISIBLE_DEVICES", "void");
  edits.libraryPath = kLibraryDirectory;
  return edits;
}

DeviceEdits withBudget(DeviceEdits edits, const std::string& budgetFile) {
  addMount(edits, {budgetFile, std::string(kBudgetPath), seams::MountAccess::ReadWrite});
  return edits;
}

DeviceEdits foreignEdits(const CdiDevice& device) {
  DeviceEdits edits;
  eachNode(device, [&](const CdiDeviceNode& node, bool) { addNode(edits, node); });
  for (const CdiEdits* part : {&device.common, &device.own}) {
    for (const CdiMount& mount : part->mounts) {
      const bool service =
          std::ranges::any_of(std::array{"/tmp/", "/run/", "/var/run/"},
                              [&](const char* place) { return mount.hostPath.starts_with(place); });
      if (!service) addMount(edits, {mount.hostPath, mount.containerPath});
    }
    for (const auto& [name, value] : part->environment) {
      std::erase_if(edits.environment, [&](const auto& one) { return one.first == name; });
      edits.environment.emplace_back(name, value);
    }
    for (std::uint32_t group : part->groups) {
      if (std::ranges::find(edits.groups, group) == edits.groups.end())
        edits.groups.push_back(group);
    }
  }
  // A mount below another comes after it.
  std::ranges::sort(edits.mounts, {}, [](const seams::HostMount& mount) {
    return std::pair(std::ranges::count(mount.path, '/'), mount.path);
  });
  return edits;
}

std::string withoutNodeMaking(std::string_view params) {
  std::string out;
  for (std::string_view line : split(params, '\n')) {
    if (line.empty()) continue;
    out += line.starts_with("ModifyDeviceFiles:") ? std::string_view("ModifyDeviceFiles: 0") : line;
    out += '\n';
  }
  return out;
}

}  // namespace okibi::gpu
