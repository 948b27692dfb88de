#pragma once
// What a container is given for one card: chosen from a CDI description by name, not taken as it
// is. A description lists what some desktop or some cluster may want; a sandbox gets what computing
// needs and nothing of the host besides. Pure.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "gpu/cdi_registry.h"
#include "seams/device_edits.h"
#include "seams/gpu_inventory.h"

namespace okibi::gpu {

// Where things are in every container with an NVIDIA card. The shim's fronts have the private paths
// built in.
inline constexpr std::string_view kLibraryDirectory = "/usr/local/nvidia/lib64";
inline constexpr std::string_view kPrivateDirectory = "/usr/local/nvidia/okibi";
inline constexpr std::string_view kShimPath = "/usr/local/nvidia/okibi/libokibi_shim.so";
inline constexpr std::string_view kRealCudaPath = "/usr/local/nvidia/okibi/libcuda.so.1";
inline constexpr std::string_view kRealNvmlPath = "/usr/local/nvidia/okibi/libnvidia-ml.so.1";
inline constexpr std::string_view kBudgetPath = "/usr/local/nvidia/okibi/budget";

// Files of the host that keep a slice (shim/): the fronts stand in place of the driver's libraries.
struct ShimFiles {
  std::string library, cudaFront, nvmlFront;
};

// What stands over the driver's own files in /proc/driver/nvidia.
struct DriverProc {
  std::string params;  // file, over `params`: no library tries to make nodes
  std::string cards;   // directory, over `gpus`: this card, and no other of the host
};

// The device of an NVIDIA card: the one named by its UUID, else the one whose own edits have the
// card's node and no other card's. nullopt: none. Partitions are found by UUID only.
std::optional<CdiDevice> nvidiaDevice(const CdiRegistry& registry, const seams::CardFacts& facts);

// An NVIDIA card's own node, the two shared ones, a partition's capability nodes; the compute
// libraries in a directory of their own, with the names the loader looks for; `proc` where the
// container sees the driver's files. With `shim` the libraries
// that keep the slice stand at the names of the real ones. The budget file is added per instance
// (withBudget). Unavailable: the description lacks the card's node or libcuda; it is of another
// driver or another time.
Result<seams::DeviceEdits> nvidiaEdits(const CdiDevice& device, const seams::CardFacts& facts,
                                       const DriverProc& proc,
                                       const std::optional<ShimFiles>& shim);
seams::DeviceEdits withBudget(seams::DeviceEdits edits, const std::string& budgetFile);

// Any other vendor's device (AMD, Intel): nodes, read-only mounts, environment and groups as
// described. Mounts below /tmp, /run and /var/run are left out: they are sockets of the host's
// services. Hooks are not run.
seams::DeviceEdits foreignEdits(const CdiDevice& device);

// The text of /proc/driver/nvidia/params with ModifyDeviceFiles set to 0.
std::string withoutNodeMaking(std::string_view params);

}  // namespace okibi::gpu
