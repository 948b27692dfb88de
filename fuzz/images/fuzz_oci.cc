// Documents of strangers: no crash, and what is accepted is well formed.

#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "images/image_limits.h"
#include "images/image_record.h"
#include "images/manifest.h"
#include "images/reference.h"

using namespace okibi;          // NOLINT
using namespace okibi::images;  // NOLINT

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (Result<ManifestDocument> document = parseManifest(text)) {
    OKIBI_CHECK(document->manifest.has_value() != document->index.has_value());
    if (document->manifest) {
      OKIBI_CHECK(document->manifest->layers.size() <= kLayersMax);
      for (const Descriptor& layer : document->manifest->layers) {
        OKIBI_CHECK(Digest::parse(layer.digest.text()) && layer.size.count() >= 0);
      }
    } else {
      (void)choosePlatform(*document->index, "amd64");
    }
  }
  if (Result<ConfigDocument> config = parseConfig(text)) {
    (void)checkPlatform(*config, "amd64");
    for (const std::string& variable : config->config.environment) {
      OKIBI_CHECK(!variable.contains('\0'));
    }
  }
  if (Result<ImageRecord> record = decodeRecord(text)) {
    Result<ImageRecord> again = decodeRecord(encodeRecord(*record));
    OKIBI_CHECK(again && encodeRecord(*again) == encodeRecord(*record));
  }
  if (Result<ImageReference> reference = parseReference(std::string(text))) {
    OKIBI_CHECK(reference->registry.has_value() != reference->layout.has_value());
    // It becomes a word on a command line.
    if (reference->registry) OKIBI_CHECK(!reference->registry->text().starts_with('-'));
  }
  return 0;
}
