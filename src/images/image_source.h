#pragma once
// Where an image is fetched from. Two kinds: a registry (through skopeo) and a local OCI layout.
// Blocking. What they give is unverified: the caller checks digests.

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "images/digest.h"
#include "images/manifest.h"
#include "images/reference.h"
#include "model/function.h"

namespace okibi::images {

struct LayerFetch {
  Digest manifest;                  // of the image they belong to
  std::vector<Descriptor> missing;  // blobs to bring
  std::filesystem::path blobs;      // "…/blobs": files go to sha256/<hex> in it
  std::filesystem::path staging;    // an empty directory on the same file system
  std::function<bool()> tick;       // now and then; false: give up (Cancelled)
};

class ImageSource {
 public:
  virtual ~ImageSource() = default;
  // The manifest or index the reference names, or the one of a digest in the same repository.
  virtual Result<std::string> manifest(const std::optional<Digest>& digest) = 0;
  virtual Result<std::string> config(const Digest& manifest, const Descriptor& config) = 0;
  virtual Result<void> fetchLayers(const LayerFetch& fetch) = 0;
};

struct SourceOptions {
  std::filesystem::path temporary;  // for the authentication file
  std::string skopeo;               // program
};

std::unique_ptr<ImageSource> makeRegistrySource(RegistryReference reference,
                                                std::optional<RegistryAuth> auth,
                                                SourceOptions options, std::function<bool()> tick);
std::unique_ptr<ImageSource> makeLayoutSource(LayoutReference reference, std::string architecture);

// What skopeo's standard error means: the kind, and its own last words. For tests.
Error explainSkopeo(const std::string& reference, const std::string& errors);

}  // namespace okibi::images
