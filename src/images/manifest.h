#pragma once
// The JSON documents of an image: OCI image-spec 1.x and Docker schema 2, manifests and indexes,
// and the config. Pure parsing; every digest in the result is well formed, sizes are in range.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "images/digest.h"
#include "seams/image_store.h"

namespace okibi::images {

struct Descriptor {
  Digest digest;
  Bytes size;
  std::string mediaType;
};

struct Manifest {
  Descriptor config;
  std::vector<Descriptor> layers;  // lowest first
};

struct IndexEntry {
  Descriptor manifest;
  std::string os, architecture, variant;  // empty: not told
  std::string name;                       // org.opencontainers.image.ref.name, in layouts
};

// One of the two is set.
struct ManifestDocument {
  std::optional<Manifest> manifest;
  std::optional<std::vector<IndexEntry>> index;
};

struct ConfigDocument {
  seams::ImageConfig config;
  std::string os;
  std::vector<Digest> diffIds;  // of the layers' tars, lowest first
};

// Errors: Invalid.
Result<ManifestDocument> parseManifest(std::string_view json);
Result<ConfigDocument> parseConfig(std::string_view json);

// This machine's, as Go names it ("amd64", "arm64").
std::string machineArchitecture();

// The entry for linux on `architecture`. Invalid when there is none, naming what there is.
Result<Descriptor> choosePlatform(const std::vector<IndexEntry>& index,
                                  const std::string& architecture);
// Invalid if the image is for another machine than `architecture`, naming both.
Result<void> checkPlatform(const ConfigDocument& config, const std::string& architecture);

}  // namespace okibi::images
