#pragma once
// LayerWriter: applies tar entries to one layer directory, in the form overlayfs wants its lower
// directories: whiteouts (".wh.name") become character devices 0/0, opaque directories
// (".wh..wh..opq") get trusted.overlay.opaque. The directory must belong to this writer alone while
// it works; entries come from strangers.
//
// Nothing is ever written outside of the directory: names are resolved by the kernel (openat2,
// RESOLVE_BENEATH), and an entry that would leave it (absolute, "..", through a symbolic link that
// leads out, a hard link to such a place) is refused as Invalid with its path.
//
// Policy, where engines differ: device nodes are left out (an instance has its own /dev, and a node
// of the host's disk must not come in with an image); of the extended attributes
// security.capability and user.* are kept. A relative link inside of the layer may be a parent, as
// in Docker. Needs root: owners, capabilities and opaque marks cannot be written otherwise.

#include <filesystem>
#include <map>
#include <string>
#include <unordered_map>

#include "base/result.h"
#include "images/tar_reader.h"
#include "net/fd.h"

namespace okibi::images {

class LayerWriter {
 public:
  // `root`: an empty directory, open for reading.
  explicit LayerWriter(net::UniqueFd root) : root_(std::move(root)) {}

  // Writes one entry, taking its content from `reader`.
  Result<void> apply(const TarEntry& entry, TarReader& reader);
  // Last: sets the times of directories, which their children changed.
  Result<void> finish();

  std::int64_t bytesWritten() const { return bytes_; }
  std::int64_t entries() const { return entries_; }
  std::int64_t devicesSkipped() const { return devicesSkipped_; }

 private:
  // A checked name: directory part opened, leaf not empty.
  struct Place {
    int parent = -1;
    std::string leaf;
    std::string path;  // normalized, relative
  };
  enum class Opaque { No, Yes };

  Result<Place> locate(const std::string& path);
  Result<int> openParent(const std::string& path);
  Result<int> makeParent(const std::string& path);
  Result<void> applyRoot(const TarEntry& entry);
  Result<bool> applyWhiteout(const Place& place);
  Result<void> markOpaqueParent(const Place& place);
  Result<void> writeDirectory(const TarEntry& entry, const Place& place);
  Result<void> writeFile(const TarEntry& entry, const Place& place, TarReader& reader);
  Result<void> writeHardLink(const TarEntry& entry, const Place& place);
  Result<void> writeNode(const TarEntry& entry, const Place& place);
  Result<void> copyContent(const TarEntry& entry, int fd, TarReader& reader);
  Result<void> setAttributes(const TarEntry& entry, int fd);
  Result<Opaque> clear(const Place& place);
  // Closes cached descriptors, but not the place's own parent.
  Result<void> removeExisting(const Place& place);
  void forgetParents();

  net::UniqueFd root_;
  std::unordered_map<std::string, net::UniqueFd> parents_;  // open directories by path
  std::map<std::string, timespec> directoryTimes_;
  std::int64_t bytes_ = 0, entries_ = 0, devicesSkipped_ = 0;
};

// True if the whole layer hides those below it: its root is opaque, which overlayfs itself ignores.
bool isOpaqueLayer(const std::filesystem::path& layer);

}  // namespace okibi::images
