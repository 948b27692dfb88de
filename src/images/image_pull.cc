#include "images/image_pull.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <thread>

#include <fmt/format.h>
#include <sys/stat.h>

#include "images/files.h"
#include "images/image_limits.h"

namespace okibi::images {

namespace fs = std::filesystem;

ImagePull::ImagePull(ImageLibrary& library, ImageReference reference,
                     std::optional<RegistryAuth> auth, const ImageLibrary::Progress& progress)
    : library_(library), reference_(std::move(reference)), progress_(progress) {
  if (reference_.layout) {
    source_ = makeLayoutSource(*reference_.layout, library_.options_.architecture);
  } else {
    source_ = makeRegistrySource(*reference_.registry, std::move(auth),
                                 {library_.root_ / "tmp", library_.options_.skopeo},
                                 [this] { return !library_.stop_; });
  }
}

ImagePull::~ImagePull() {
  std::lock_guard lock(library_.mutex_);
  for (const std::string& hex : pinned_) library_.pins_.extract(hex);
}

void ImagePull::pin(const Digest& digest) {
  std::lock_guard lock(library_.mutex_);
  library_.pins_.insert(digest.hex());
  pinned_.push_back(digest.hex());
}

void ImagePull::report(std::string step, std::int64_t done, std::int64_t total) const {
  if (progress_) progress_({std::move(step), Bytes(done), Bytes(total)});
}

Result<seams::PreparedImage> ImagePull::run() {
  report("resolve", 0, 0);
  Result<std::optional<seams::PreparedImage>> present = resolve();
  if (!present) return fail(std::move(present.error()));
  if (*present) {
    report("done", (*present)->size.count(), (*present)->size.count());
    return std::move(**present);
  }
  if (Result<void> read = readConfig(); !read) {
    return fail(withContext(std::move(read.error()), reference_.canonical));
  }
  if (Result<void> fetched = fetch(); !fetched) return fail(std::move(fetched.error()));
  Result<std::vector<StoredLayer>> layers = unpack();
  if (!layers) return fail(withContext(std::move(layers.error()), reference_.canonical));
  const Digest& config = resolved_->manifest.config.digest;
  Result<void> written = writeFileDurably(library_.blobPath(resolved_->digest), resolved_->raw);
  if (written) written = writeFileDurably(library_.blobPath(config), configRaw_);
  if (!written) return fail(std::move(written.error()));
  Result<seams::PreparedImage> image = library_.store(
      ImageRecord{resolved_->digest, config, std::move(*layers), {}, {}, {}}, reference_.canonical);
  if (image) report("done", image->size.count(), image->size.count());
  return image;
}

Result<std::string> ImagePull::readManifest(const std::optional<Digest>& digest) {
  Result<std::string> raw = source_->manifest(digest);
  if (!raw) return raw;
  const Digest is = Digest::of(*raw);
  if (digest && is != *digest) {
    return fail(ErrorKind::Invalid,
                fmt::format("{}: corrupt: the manifest has digest {}, expected {}",
                            reference_.canonical, is.text(), digest->text()));
  }
  return raw;
}

// Follows an index (and one within it, as layouts have) to the manifest for this machine. A value:
// the image is here already.
Result<std::optional<seams::PreparedImage>> ImagePull::resolve() {
  std::optional<Digest> wanted =
      reference_.registry ? reference_.registry->digest : std::optional<Digest>();
  Result<std::string> raw = readManifest(wanted);
  for (int depth = 0; raw && depth < 3; ++depth) {
    const Digest digest = Digest::of(*raw);
    pin(digest);
    Result<std::optional<seams::PreparedImage>> known =
        library_.reuse(digest, reference_.canonical);
    if (!known || *known) return known;
    Result<ManifestDocument> document = parseManifest(*raw);
    if (!document) return fail(withContext(std::move(document.error()), reference_.canonical));
    if (document->manifest) {
      resolved_ = Resolved{digest, std::move(*raw), std::move(*document->manifest)};
      return std::nullopt;
    }
    Result<Descriptor> chosen = choosePlatform(*document->index, library_.options_.architecture);
    if (!chosen) return fail(withContext(std::move(chosen.error()), reference_.canonical));
    raw = readManifest(chosen->digest);
  }
  if (!raw) return fail(std::move(raw.error()));
  return fail(ErrorKind::Invalid,
              reference_.canonical + ": an index within an index within an index");
}

// Before any layer is fetched: an image for another machine ends here.
Result<void> ImagePull::readConfig() {
  const Descriptor& descriptor = resolved_->manifest.config;
  pin(descriptor.digest);
  Result<std::string> raw = readFile(library_.blobPath(descriptor.digest), kConfigMax);
  if (!raw || Digest::of(*raw) != descriptor.digest) {
    raw = source_->config(resolved_->digest, descriptor);
  }
  if (!raw) return fail(std::move(raw.error()));
  if (const Digest is = Digest::of(*raw); is != descriptor.digest) {
    return fail(ErrorKind::Invalid, fmt::format("corrupt: the config has digest {}, expected {}",
                                                is.text(), descriptor.digest.text()));
  }
  Result<ConfigDocument> config = parseConfig(*raw);
  if (!config) return fail(std::move(config.error()));
  if (Result<void> fits = checkPlatform(*config, library_.options_.architecture); !fits)
    return fits;
  if (config->diffIds.size() != resolved_->manifest.layers.size()) {
    return fail(ErrorKind::Invalid,
                fmt::format("the config names {} layers, the manifest {}", config->diffIds.size(),
                            resolved_->manifest.layers.size()));
  }
  configRaw_ = std::move(*raw);
  diffIds_ = std::move(config->diffIds);
  for (const Digest& diffId : diffIds_) pin(diffId);
  for (const Descriptor& layer : resolved_->manifest.layers) pin(layer.digest);
  return {};
}

bool ImagePull::layerPresent(const Digest& diffId) const {
  std::lock_guard lock(library_.mutex_);
  return library_.layerSizes_.contains(diffId.hex());
}

namespace {

std::int64_t fileSize(const fs::path& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 ? status.st_size : -1;
}

}  // namespace

Result<void> ImagePull::fetch() {
  std::vector<Descriptor> missing;
  std::int64_t total = 0;
  for (std::size_t i = 0; i < diffIds_.size(); ++i) {
    const Descriptor& layer = resolved_->manifest.layers[i];
    const std::int64_t size = fileSize(library_.blobPath(layer.digest));
    const bool repeated =
        std::ranges::find(missing, layer.digest, &Descriptor::digest) != missing.end();
    if (layerPresent(diffIds_[i]) || repeated || size == layer.size.count()) continue;
    // Cut short by something: the right one takes its place.
    if (size >= 0) ::unlink(library_.blobPath(layer.digest).c_str());
    missing.push_back(layer);
    total += layer.size.count();
  }
  if (missing.empty()) return {};
  if (Result<void> space = expectSpace(missing); !space) return space;
  Result<TemporaryDirectory> staging = TemporaryDirectory::make(library_.root_ / "tmp");
  if (!staging) return fail(std::move(staging.error()));
  const auto tick = [&] {
    std::int64_t done = 0;
    for (const Descriptor& layer : missing) {
      done += std::max<std::int64_t>(0, fileSize(library_.blobPath(layer.digest)));
    }
    std::error_code ignored;
    for (const fs::directory_entry& file : fs::directory_iterator(staging->path(), ignored)) {
      done += std::max<std::int64_t>(0, file.is_regular_file(ignored) ? fileSize(file.path()) : 0);
    }
    report("fetch", std::min(done, total), total);
    return !library_.stop_;
  };
  report("fetch", 0, total);
  Result<void> fetched = source_->fetchLayers(
      {resolved_->digest, missing, library_.root_ / "blobs", staging->path(), tick});
  if (!fetched) return fetched;
  report("fetch", total, total);
  return checkFetched(missing);
}

Result<void> ImagePull::expectSpace(const std::vector<Descriptor>& missing) const {
  Result<Bytes> free = freeSpace(library_.root_);
  if (!free) return fail(std::move(free.error()));
  Bytes needed = kDiskReserve;
  for (const Descriptor& layer : missing) needed += layer.size;
  if (needed <= *free) return {};
  return fail(ErrorKind::Exhausted,
              fmt::format("{}: disk full: its layers need {} MiB, {} MiB are free in {}",
                          reference_.canonical, needed.wholeMib(), free->wholeMib(),
                          library_.root_.string()));
}

Result<void> ImagePull::checkFetched(const std::vector<Descriptor>& missing) const {
  for (const Descriptor& layer : missing) {
    const std::int64_t size = fileSize(library_.blobPath(layer.digest));
    if (size == layer.size.count()) continue;
    return fail(ErrorKind::Invalid,
                fmt::format("{}: corrupt: layer {} has {} bytes, expected {}", reference_.canonical,
                            layer.digest.text(), size, layer.size.count()));
  }
  return {};
}

namespace {

// Layers of one image, taken by a few threads in order. The first error ends the rest.
struct Crew {
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t next = 0, busy = 0;
  std::optional<Error> error;
  std::vector<std::optional<StoredLayer>> results;
  std::vector<std::atomic<std::int64_t>> done;

  explicit Crew(std::size_t layers) : results(layers), done(layers) {}

  template <typename Work>
  void work(Work one) {
    for (;;) {
      std::size_t mine = 0;
      {
        std::lock_guard lock(mutex);
        if (error || next == results.size()) break;
        mine = next++;
      }
      Result<StoredLayer> layer = one(mine, done[mine]);
      std::lock_guard lock(mutex);
      if (layer) {
        results[mine] = std::move(*layer);
      } else if (!error) {
        error = std::move(layer.error());
      }
    }
    std::lock_guard lock(mutex);
    --busy;
    changed.notify_all();
  }
};

}  // namespace

Result<std::vector<StoredLayer>> ImagePull::unpack() {
  const std::vector<Descriptor>& layers = resolved_->manifest.layers;
  Crew crew(layers.size());
  // Each unpacks with two threads of its own.
  const std::size_t threads = std::min<std::size_t>(
      layers.size(), std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, 4));
  crew.busy = threads;
  std::int64_t total = 0;
  for (const Descriptor& layer : layers) total += layer.size.count();
  const auto one = [&](std::size_t i, std::atomic<std::int64_t>& done) {
    return library_.ensureLayer(
        {library_.blobPath(layers[i].digest), layers[i].digest, diffIds_[i]}, done);
  };
  std::vector<std::jthread> workers;
  for (std::size_t i = 0; i < threads; ++i) workers.emplace_back([&] { crew.work(one); });
  std::unique_lock lock(crew.mutex);
  while (!crew.changed.wait_for(lock, std::chrono::milliseconds(200),
                                [&] { return crew.busy == 0; })) {
    std::int64_t done = 0;
    for (const std::atomic<std::int64_t>& part : crew.done) done += part;
    report("unpack", done, total);
  }
  if (crew.error) return fail(std::move(*crew.error));
  report("unpack", total, total);
  std::vector<StoredLayer> stored;
  for (std::optional<StoredLayer>& layer : crew.results) stored.push_back(std::move(*layer));
  return stored;
}

}  // namespace okibi::images
