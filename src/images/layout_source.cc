#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include "images/files.h"
#include "images/image_limits.h"
#include "images/image_source.h"

namespace okibi::images {

namespace fs = std::filesystem;

namespace {

class LayoutSource : public ImageSource {
 public:
  LayoutSource(LayoutReference reference, std::string architecture)
      : reference_(std::move(reference)), architecture_(std::move(architecture)) {}

  Result<std::string> manifest(const std::optional<Digest>& digest) override {
    if (digest) return readBlob(*digest, kManifestMax);
    Result<Descriptor> chosen = choose();
    if (!chosen) return fail(std::move(chosen.error()));
    Result<std::string> raw = readBlob(chosen->digest, kManifestMax);
    if (raw && Digest::of(*raw) != chosen->digest) {
      return fail(ErrorKind::Invalid, "corrupt: the content of manifest " + chosen->digest.text() +
                                          " has another digest");
    }
    return raw;
  }

  Result<std::string> config(const Digest&, const Descriptor& config) override {
    return readBlob(config.digest, kConfigMax);
  }

  Result<void> fetchLayers(const LayerFetch& fetch) override {
    for (const Descriptor& layer : fetch.missing) {
      const fs::path name = fetch.staging / layer.digest.hex();
      Result<void> copied = copyFile(blobPath(layer.digest), name);
      if (!copied && copied.error().kind == ErrorKind::NotFound) {
        return fail(ErrorKind::Invalid, "the layout lacks layer " + layer.digest.text());
      }
      if (!copied) return copied;
      const fs::path target = fetch.blobs / "sha256" / layer.digest.hex();
      if (::rename(name.c_str(), target.c_str()) != 0) return failFile(target.string(), errno);
      if (!fetch.tick()) return fail(ErrorKind::Cancelled, "shutting down");
    }
    return {};
  }

 private:
  fs::path blobPath(const Digest& digest) const {
    return reference_.path / "blobs" / "sha256" / digest.hex();
  }

  Result<std::string> readBlob(const Digest& digest, Bytes max) const {
    Result<std::string> content = readFile(blobPath(digest), max);
    if (!content && content.error().kind == ErrorKind::NotFound) {
      return fail(ErrorKind::Invalid, fmt::format("the layout {} lacks blob {}",
                                                  reference_.path.string(), digest.text()));
    }
    return content;
  }

  Result<Descriptor> choose() const {
    const std::string where = reference_.path.string();
    Result<std::string> raw = readFile(reference_.path / "index.json", kManifestMax);
    if (!raw && raw.error().kind == ErrorKind::NotFound) {
      return fail(ErrorKind::NotFound, where + " is no OCI layout (it has no index.json)");
    }
    if (!raw) return fail(std::move(raw.error()));
    Result<ManifestDocument> document = parseManifest(*raw);
    if (!document) return fail(withContext(std::move(document.error()), where + "/index.json"));
    if (!document->index) return fail(ErrorKind::Invalid, where + "/index.json is not an index");
    std::vector<IndexEntry> fitting;
    std::vector<std::string> names;
    for (const IndexEntry& entry : *document->index) {
      names.push_back(entry.name.empty() ? "(unnamed)" : entry.name);
      if (reference_.name.empty() || entry.name == reference_.name) fitting.push_back(entry);
    }
    if (fitting.empty()) {
      return fail(ErrorKind::NotFound, fmt::format("no image \"{}\" in {}; it has: {}",
                                                   reference_.name, where, fmt::join(names, ", ")));
    }
    if (fitting.size() == 1) return fitting.front().manifest;
    if (reference_.name.empty()) {
      return fail(ErrorKind::Invalid,
                  fmt::format("{} has several images; name one as oci:{}:REF. It has: {}", where,
                              where, fmt::join(names, ", ")));
    }
    return choosePlatform(fitting, architecture_);
  }

  LayoutReference reference_;
  std::string architecture_;
};

}  // namespace

std::unique_ptr<ImageSource> makeLayoutSource(LayoutReference reference, std::string architecture) {
  return std::make_unique<LayoutSource>(std::move(reference), std::move(architecture));
}

}  // namespace okibi::images
