#pragma once
// One layer: blob in, directory out, both digests checked. Synchronous; uses two threads (inflate
// and hash the blob; then write files and hash the tar). The caller gives an empty directory,
// removes it when this fails, and renames it when it succeeds.

#include <atomic>
#include <filesystem>

#include "base/result.h"
#include "base/units.h"
#include "images/digest.h"

namespace okibi::images {

struct LayerTask {
  std::filesystem::path blob;
  Digest digest;  // of the blob
  Digest diffId;  // of the tar in it
};

struct LayerSize {
  Bytes content;  // sum of the files
  std::int64_t entries = 0;
};

// Errors: Invalid (corrupt, digest or tar wrong, an entry that escapes; the layer's digest is
// named), Exhausted (disk full), Cancelled (`stop` was set). `done` runs up to the blob's size.
Result<LayerSize> unpackLayer(const LayerTask& task, const std::filesystem::path& directory,
                              std::atomic<std::int64_t>& done, const std::atomic<bool>& stop);

}  // namespace okibi::images
