#pragma once
// ImagePull: one pull, step by step: resolve, check, fetch, unpack, file. Used by ImageLibrary
// only.

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "images/image_library.h"

namespace okibi::images {

class ImagePull {
 public:
  ImagePull(ImageLibrary& library, ImageReference reference, std::optional<RegistryAuth> auth,
            const ImageLibrary::Progress& progress);
  ~ImagePull();
  ImagePull(const ImagePull&) = delete;
  ImagePull& operator=(const ImagePull&) = delete;

  Result<seams::PreparedImage> run();

 private:
  struct Resolved {
    Digest digest;
    std::string raw;
    Manifest manifest;
  };

  Result<std::optional<seams::PreparedImage>> resolve();
  Result<std::string> readManifest(const std::optional<Digest>& digest);
  Result<void> readConfig();
  Result<void> fetch();
  Result<void> expectSpace(const std::vector<Descriptor>& missing) const;
  Result<void> checkFetched(const std::vector<Descriptor>& missing) const;
  Result<std::vector<StoredLayer>> unpack();
  void pin(const Digest& digest);
  void report(std::string step, std::int64_t done, std::int64_t total) const;
  bool layerPresent(const Digest& diffId) const;

  ImageLibrary& library_;
  ImageReference reference_;
  const ImageLibrary::Progress& progress_;
  std::unique_ptr<ImageSource> source_;
  std::optional<Resolved> resolved_;
  std::string configRaw_;
  std::vector<Digest> diffIds_;
  std::vector<std::string> pinned_;
};

}  // namespace okibi::images
