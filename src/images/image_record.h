#pragma once
// What the store remembers of a complete image: one JSON file per manifest digest.

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "images/digest.h"

namespace okibi::images {

struct StoredLayer {
  Digest diffId;  // names the directory
  Digest blob;
  Bytes size;  // of the files in it
};

struct ImageRecord {
  Digest digest;                     // of the manifest
  Digest config;                     // blob
  std::vector<StoredLayer> layers;   // lowest first
  std::set<std::string> references;  // canonical; a tag moves to the image it named last
  std::string origin;                // the reference it was first pulled by
  WallTime pulled{};
};

std::string encodeRecord(const ImageRecord& record);
// Errors: Invalid.
Result<ImageRecord> decodeRecord(std::string_view json);

}  // namespace okibi::images
