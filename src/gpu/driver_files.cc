#include "gpu/driver_files.h"

#include <algorithm>
#include <array>
#include <cctype>

#include <fmt/format.h>

#include "base/encoding.h"
#include "gpu/text_file.h"

namespace okibi::gpu {
namespace {

// What programs that compute need of the driver, besides its management library. The first two must
// be there.
constexpr std::array<std::string_view, 7> kLibraries{
    "libcuda.so",         "libnvidia-ml.so",      "libnvidia-ptxjitcompiler.so",
    "libnvidia-nvvm.so",  "libnvidia-gpucomp.so", "libcudadebugger.so",
    "libnvidia-opencl.so"};
constexpr std::size_t kNeeded = 2;

constexpr std::array<std::string_view, 6> kDirectories{"/usr/lib/x86_64-linux-gnu",
                                                       "/usr/lib/aarch64-linux-gnu",
                                                       "/usr/lib64",
                                                       "/usr/local/nvidia/lib64",
                                                       "/usr/lib/nvidia",
                                                       "/usr/lib"};

bool isVersion(std::string_view word) {
  return word.find('.') != std::string_view::npos && std::ranges::all_of(word, [](char c) {
           return std::isdigit(static_cast<unsigned char>(c)) != 0 || c == '.';
         });
}

// "DeviceFileMinor: 3" of a capability's access file.
std::optional<int> capabilityMinor(const std::filesystem::path& file) {
  const auto text = readText(file);
  if (!text) return std::nullopt;
  for (std::string_view line : split(*text, '\n')) {
    constexpr std::string_view kKey = "DeviceFileMinor:";
    if (!line.starts_with(kKey)) continue;
    const std::string value(trim(line.substr(kKey.size())));
    if (!value.empty() && std::ranges::all_of(value, [](unsigned char c) { return isdigit(c); })) {
      return std::stoi(value.substr(0, 9));
    }
  }
  return std::nullopt;
}

CdiDeviceNode nodeAt(std::string path) {
  return {path, path, "rw"};
}

Result<CdiEdits> editsOf(const std::filesystem::path& root, const seams::CardFacts& facts) {
  if (!facts.minorNumber) {
    return fail(ErrorKind::Unavailable, facts.card.uuid + ": its device node is not known");
  }
  CdiEdits edits;
  edits.nodes.push_back(nodeAt(fmt::format("/dev/nvidia{}", *facts.minorNumber)));
  if (!facts.mig) return edits;
  const auto place = root / fmt::format("proc/driver/nvidia/capabilities/gpu{}/mig/gi{}",
                                        *facts.minorNumber, facts.mig->gpuInstance);
  const auto part = fmt::format("ci{}", facts.mig->computeInstance);
  for (const auto& file : {place / "access", place / part / "access"}) {
    const auto minor = capabilityMinor(file);
    if (!minor) {
      return fail(ErrorKind::Unavailable, fmt::format("{}: {} does not name its capability node",
                                                      facts.card.uuid, file.string()));
    }
    edits.nodes.push_back(nodeAt(fmt::format("/dev/nvidia-caps/nvidia-cap{}", *minor)));
  }
  return edits;
}

// The directory with the driver's libcuda, without `root`.
std::optional<std::string> libraryDirectory(const std::filesystem::path& root,
                                            const std::string& version) {
  for (std::string_view directory : kDirectories) {
    const std::string path = fmt::format("{}/libcuda.so.{}", directory, version);
    if (std::filesystem::exists(root / path.substr(1))) return std::string(directory);
  }
  return std::nullopt;
}

Result<std::vector<CdiMount>> libraryMounts(const std::filesystem::path& root,
                                            const std::string& version) {
  const auto directory = libraryDirectory(root, version);
  if (!directory) {
    return fail(ErrorKind::Unavailable, fmt::format("libcuda.so.{} is in none of {}", version,
                                                    fmt::join(kDirectories, ", ")));
  }
  std::vector<CdiMount> mounts;
  for (std::size_t i = 0; i < kLibraries.size(); ++i) {
    const std::string path = fmt::format("{}/{}.{}", *directory, kLibraries[i], version);
    if (std::filesystem::exists(root / path.substr(1))) {
      mounts.push_back({path, path, "", {"ro", "nosuid", "nodev", "bind"}});
    } else if (i < kNeeded) {
      return fail(ErrorKind::Unavailable, path + " is not there");
    }
  }
  return mounts;
}

}  // namespace

std::string driverVersionFrom(std::string_view text) {
  // The first word of the first line that is a version.
  for (std::string_view word : split(text.substr(0, text.find('\n')), ' ')) {
    if (isVersion(word)) return std::string(word);
  }
  return {};
}

Result<CdiSpec> describeDriver(const std::filesystem::path& root,
                               const std::vector<seams::CardFacts>& cards) {
  const auto text = readText(root / "proc/driver/nvidia/version");
  const std::string version = text ? driverVersionFrom(*text) : "";
  if (version.empty()) return fail(ErrorKind::Unavailable, "no NVIDIA driver is loaded");
  auto libraries = libraryMounts(root, version);
  if (!libraries) return fail(libraries.error());
  CdiSpec spec;
  spec.version = "1.1.0";
  spec.kind = "nvidia.com/gpu";
  spec.common.mounts = std::move(*libraries);
  spec.common.environment.emplace_back("NVIDIA_VISIBLE_DEVICES", "void");
  for (const char* node : {"/dev/nvidiactl", "/dev/nvidia-uvm"}) {
    spec.common.nodes.push_back(nodeAt(node));
  }
  for (const seams::CardFacts& facts : cards) {
    auto edits = editsOf(root, facts);
    if (!edits) return fail(edits.error());
    spec.devices.emplace(facts.card.uuid, std::move(*edits));
  }
  return spec;
}

}  // namespace okibi::gpu
