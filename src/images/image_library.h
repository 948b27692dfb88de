#pragma once
// ImageLibrary: the images of one state directory. The synchronous core of OciImageStore; any
// thread.
//
//   images/blobs/sha256/<hex>   manifests, configs and layers as the registry has them
//   images/layers/<hex>         a layer unpacked, by the digest of its tar (diff id)
//   images/index/<hex>.json     one record per complete image, by manifest digest
//   images/tmp/                 everything unfinished; swept at start
//
// A record is written last, after a sync of all it names, so that what has a record is complete
// whatever stopped the machine. One ImageLibrary per directory at a time (the daemon holds the lock
// of its state directory).

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "images/image_record.h"
#include "images/image_source.h"
#include "images/layer_unpacker.h"
#include "seams/image_store.h"

namespace okibi::images {

struct LibraryOptions {
  std::filesystem::path stateDirectory;
  std::string architecture = machineArchitecture();
  std::string skopeo = "skopeo";
};

class ImageLibrary {
 public:
  using Progress = std::function<void(const seams::PullProgress&)>;

  // Opens what is there, reports and leaves out damaged records, sweeps the unfinished.
  static Result<std::unique_ptr<ImageLibrary>> open(LibraryOptions options);

  // Blocks until the image is complete. `progress` is called on the calling thread.
  Result<seams::PreparedImage> pull(const std::string& reference,
                                    const std::optional<RegistryAuth>& auth,
                                    const Progress& progress);
  Result<seams::PreparedImage> find(const std::string& digest) const;
  std::vector<seams::PreparedImage> list() const;
  Result<void> remove(const std::string& digestOrReference, const std::vector<std::string>& inUse);
  // Makes running pulls end soon, with Cancelled.
  void shutdown() { stop_ = true; }

 private:
  friend class ImagePull;
  struct Image {
    ImageRecord record;
    seams::ImageConfig config;
    std::vector<std::filesystem::path> layers;  // for the overlay mount, lowest first
  };
  explicit ImageLibrary(LibraryOptions options);
  Result<void> load();
  Result<Image> loadImage(const std::filesystem::path& file) const;
  Result<Image> complete(ImageRecord record) const;
  seams::PreparedImage prepared(const Image& image, const std::string& reference) const;
  Result<std::optional<seams::PreparedImage>> reuse(const Digest& digest,
                                                    const std::string& reference);
  Result<seams::PreparedImage> store(ImageRecord record, const std::string& reference);
  Result<void> writeRecord(const ImageRecord& record) const;
  Result<void> moveReference(const std::string& reference, const Digest& to);
  Result<StoredLayer> ensureLayer(const LayerTask& task, std::atomic<std::int64_t>& done);
  Result<Bytes> unpackNew(const LayerTask& task, std::atomic<std::int64_t>& done);
  // Removes blobs and layers that no record and no pin names.
  void collectGarbage();

  std::filesystem::path blobPath(const Digest& digest) const {
    return root_ / "blobs" / "sha256" / digest.hex();
  }
  std::filesystem::path layerPath(const Digest& diffId) const {
    return root_ / "layers" / diffId.hex();
  }
  std::filesystem::path recordPath(const Digest& digest) const {
    return root_ / "index" / (digest.hex() + ".json");
  }

  LibraryOptions options_;
  std::filesystem::path root_;
  std::atomic<bool> stop_ = false;

  mutable std::mutex
      mutex_;  // guards all below; never held while a file's content is read or written
  std::condition_variable layerDone_;
  std::map<std::string, Image> images_;            // by digest
  std::map<std::string, std::string> references_;  // canonical reference to digest
  std::map<std::string, Bytes> layerSizes_;        // unpacked layers, by hex of the diff id
  std::set<std::string> unpacking_;                // by hex of the diff id
  std::multiset<std::string> pins_;  // what running pulls need: not to be collected; hex
  std::mutex recordMutex_;           // one writer of records at a time; taken first
};

}  // namespace okibi::images
