#include "gpu/cdi_registry.h"

#include <algorithm>

#include <fmt/format.h>

#include "gpu/text_file.h"

namespace okibi::gpu {
namespace {

// In order of name, so that what is said about them is the same every time.
std::vector<std::filesystem::path> filesOf(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    const auto suffix = entry.path().extension();
    if (suffix == ".json" || suffix == ".yaml") files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

}  // namespace

CdiRegistry CdiRegistry::load(const std::vector<std::filesystem::path>& directories) {
  CdiRegistry registry;
  for (std::size_t i = 0; i < directories.size(); ++i) {
    for (const auto& file : filesOf(directories[i])) {
      const auto text = readText(file);
      auto spec = text ? parseCdi(*text) : fail(ErrorKind::Invalid, "cannot be read");
      if (spec) {
        registry.add(*spec, i, file);
      } else {
        registry.problems_.push_back(fmt::format("{}: {}", file.string(), spec.error().message));
      }
    }
  }
  return registry;
}

void CdiRegistry::add(const CdiSpec& spec, std::size_t directory,
                      const std::filesystem::path& file) {
  for (const auto& [name, edits] : spec.devices) {
    const auto same = std::ranges::find_if(entries_, [&](const Entry& entry) {
      return entry.kind == spec.kind && entry.device.name == name;
    });
    Entry entry{spec.kind, {name, spec.common, edits}, directory};
    if (same == entries_.end()) {
      entries_.push_back(std::move(entry));
    } else if (same->directory < directory) {
      *same = std::move(entry);
    } else {
      same->doubtful = true;
      problems_.push_back(fmt::format("{}: device {}={} is in another file of this directory too",
                                      file.string(), spec.kind, name));
    }
  }
}

std::optional<CdiDevice> CdiRegistry::find(const std::string& kind, const std::string& name) const {
  for (const Entry& entry : entries_) {
    if (entry.kind == kind && entry.device.name == name && !entry.doubtful) return entry.device;
  }
  return std::nullopt;
}

std::vector<CdiDevice> CdiRegistry::devicesOf(const std::string& kind) const {
  std::vector<CdiDevice> devices;
  for (const Entry& entry : entries_) {
    if (entry.kind == kind && !entry.doubtful) devices.push_back(entry.device);
  }
  return devices;
}

}  // namespace okibi::gpu
