#pragma once
// The CDI files of this machine, and a device in them. A worker thread's, or before the loop runs.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "gpu/cdi_spec.h"

namespace okibi::gpu {

// What one device needs: everybody's part and its own.
struct CdiDevice {
  std::string name;
  CdiEdits common, own;
};

class CdiRegistry {
 public:
  // Reads *.json and *.yaml of `directories`; a later directory wins over an earlier one, for each
  // device by its full name ("/etc/cdi", "/var/run/cdi"). Directories that are not there are empty.
  // A file that is refused is left out and said in problems(); two files of one directory with the
  // same device make that device unknown.
  static CdiRegistry load(const std::vector<std::filesystem::path>& directories);

  // "nvidia.com/gpu", "GPU-…"
  std::optional<CdiDevice> find(const std::string& kind, const std::string& name) const;
  std::vector<CdiDevice> devicesOf(const std::string& kind) const;
  const std::vector<std::string>& problems() const { return problems_; }

 private:
  struct Entry {
    std::string kind;
    CdiDevice device;
    std::size_t directory;
    bool doubtful = false;
  };
  void add(const CdiSpec& spec, std::size_t directory, const std::filesystem::path& file);

  std::vector<Entry> entries_;
  std::vector<std::string> problems_;
};

}  // namespace okibi::gpu
