#include "images/image_library.h"

#include <algorithm>
#include <cerrno>
#include <chrono>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "images/files.h"
#include "images/image_limits.h"
#include "images/image_pull.h"
#include "images/layer_writer.h"

namespace okibi::images {

namespace fs = std::filesystem;

ImageLibrary::ImageLibrary(LibraryOptions options)
    : options_(std::move(options)), root_(options_.stateDirectory / "images") {}

Result<std::unique_ptr<ImageLibrary>> ImageLibrary::open(LibraryOptions options) {
  std::unique_ptr<ImageLibrary> library(new ImageLibrary(std::move(options)));
  if (Result<void> loaded = library->load(); !loaded) return fail(std::move(loaded.error()));
  return library;
}

Result<void> ImageLibrary::load() {
  std::error_code error;
  fs::create_directories(root_, error);
  if (error) return failFile(root_.string(), error.value());
  // Layers hold set-uid programs of strangers: no other user of this machine may reach them.
  if (::chmod(root_.c_str(), 0700) != 0) return failFile(root_.string(), errno);
  if (Result<void> swept = removeTree(root_ / "tmp"); !swept) return swept;
  for (const char* name : {"blobs/sha256", "layers", "index", "tmp"}) {
    fs::create_directories(root_ / name, error);
    if (error) return failFile((root_ / name).string(), error.value());
  }
  for (const fs::directory_entry& file : fs::directory_iterator(root_ / "index", error)) {
    if (file.path().extension() != ".json") {
      fs::remove(file.path(), error);  // a record that was being written
      continue;
    }
    Result<Image> image = loadImage(file.path());
    if (!image) {
      log::error("image record left out", "file={} error=\"{}\"", file.path().string(),
                 image.error().message);
      continue;
    }
    for (const StoredLayer& layer : image->record.layers) {
      layerSizes_[layer.diffId.hex()] = layer.size;
    }
    const std::string digest = image->record.digest.text();
    for (const std::string& reference : image->record.references) references_[reference] = digest;
    images_.emplace(digest, std::move(*image));
  }
  if (error) return failFile((root_ / "index").string(), error.value());
  collectGarbage();
  return {};
}

Result<ImageLibrary::Image> ImageLibrary::loadImage(const fs::path& file) const {
  Result<std::string> text = readFile(file, kManifestMax);
  if (!text) return fail(std::move(text.error()));
  Result<ImageRecord> record = decodeRecord(*text);
  if (!record) return fail(std::move(record.error()));
  if (record->digest.hex() + ".json" != file.filename()) {
    return fail(ErrorKind::Invalid, "the record is of another image than its name says");
  }
  return complete(std::move(*record));
}

// Adds what the disk knows; an error if something the record names is not there.
Result<ImageLibrary::Image> ImageLibrary::complete(ImageRecord record) const {
  Result<std::string> config = readFile(blobPath(record.config), kConfigMax);
  if (!config) return fail(std::move(config.error()));
  if (Digest::of(*config) != record.config) {
    return fail(ErrorKind::Invalid, "corrupt: config " + record.config.text());
  }
  Result<ConfigDocument> parsed = parseConfig(*config);
  if (!parsed) return fail(std::move(parsed.error()));
  Image image{std::move(record), std::move(parsed->config), {}};
  for (const StoredLayer& layer : image.record.layers) {
    const fs::path path = layerPath(layer.diffId);
    if (!fs::is_directory(path)) return fail(ErrorKind::Invalid, "no layer " + path.string());
    // A layer that comes twice counts where it lies highest: overlayfs takes no directory twice.
    std::erase(image.layers, path);
    if (isOpaqueLayer(path)) image.layers.clear();
    image.layers.push_back(path);
  }
  return image;
}

seams::PreparedImage ImageLibrary::prepared(const Image& image,
                                            const std::string& reference) const {
  seams::PreparedImage result;
  result.reference = reference;
  result.digest = image.record.digest.text();
  result.config = image.config;
  result.layers = image.layers;
  std::set<std::string> counted;
  for (const StoredLayer& layer : image.record.layers) {
    if (counted.insert(layer.diffId.hex()).second) result.size += layer.size;
  }
  result.pulled = image.record.pulled;
  return result;
}

Result<seams::PreparedImage> ImageLibrary::find(const std::string& digest) const {
  std::lock_guard lock(mutex_);
  const auto found = images_.find(digest);
  if (found == images_.end()) return fail(ErrorKind::NotFound, "no image " + digest + " here");
  const ImageRecord& record = found->second.record;
  return prepared(found->second,
                  record.references.empty() ? record.origin : *record.references.begin());
}

std::vector<seams::PreparedImage> ImageLibrary::list() const {
  std::lock_guard lock(mutex_);
  std::vector<seams::PreparedImage> result;
  for (const auto& [digest, image] : images_) {
    for (const std::string& reference : image.record.references) {
      result.push_back(prepared(image, reference));
    }
    // Its tag has moved on to another image.
    if (image.record.references.empty()) {
      result.push_back(prepared(image, image.record.origin + " (" + digest + ")"));
    }
  }
  return result;
}

Result<seams::PreparedImage> ImageLibrary::pull(const std::string& reference,
                                                const std::optional<RegistryAuth>& auth,
                                                const Progress& progress) {
  Result<ImageReference> parsed = parseReference(reference);
  if (!parsed) return fail(std::move(parsed.error()));
  if (parsed->registry && parsed->registry->digest) {
    // Content behind a digest never changes: what is here needs no question.
    std::unique_lock lock(mutex_);
    const auto known = references_.find(parsed->canonical);
    if (known != references_.end()) return prepared(images_.at(known->second), reference);
  }
  Result<seams::PreparedImage> image = ImagePull(*this, std::move(*parsed), auth, progress).run();
  if (!image) {
    const ErrorKind kind = image.error().kind;
    // After trouble on the way the blobs fetched so far may serve the next attempt.
    if (kind == ErrorKind::Invalid || kind == ErrorKind::Exhausted) collectGarbage();
    return image;
  }
  image->reference = reference;
  return image;
}

Result<std::optional<seams::PreparedImage>> ImageLibrary::reuse(const Digest& digest,
                                                                const std::string& reference) {
  {
    std::lock_guard lock(mutex_);
    if (!images_.contains(digest.text())) return std::nullopt;
  }
  if (Result<void> moved = moveReference(reference, digest); !moved) {
    return fail(std::move(moved.error()));
  }
  std::lock_guard lock(mutex_);
  const auto found = images_.find(digest.text());
  if (found == images_.end()) return std::nullopt;
  return prepared(found->second, reference);
}

Result<void> ImageLibrary::writeRecord(const ImageRecord& record) const {
  return writeFileDurably(recordPath(record.digest), encodeRecord(record));
}

// Takes the reference from the image that had it. The new owner is written first: after a crash in
// between both have it, and either is true enough.
Result<void> ImageLibrary::moveReference(const std::string& reference, const Digest& to) {
  std::lock_guard writer(recordMutex_);
  std::vector<ImageRecord> changed;
  {
    std::lock_guard lock(mutex_);
    const auto owner = references_.find(reference);
    if (owner != references_.end() && owner->second == to.text()) return {};
    const auto target = images_.find(to.text());
    if (target == images_.end()) return {};
    target->second.record.references.insert(reference);
    changed.push_back(target->second.record);
    if (owner != references_.end()) {
      ImageRecord& former = images_.at(owner->second).record;
      former.references.erase(reference);
      changed.push_back(former);
    }
    references_[reference] = to.text();
  }
  for (const ImageRecord& record : changed) {
    if (Result<void> written = writeRecord(record); !written) return written;
  }
  return {};
}

namespace {

// The manifest is written when all layers are there.
WallTime writtenAt(const fs::path& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return {};
  return WallTime(std::chrono::seconds(status.st_mtim.tv_sec) +
                  std::chrono::milliseconds(status.st_mtim.tv_nsec / 1'000'000));
}

}  // namespace

Result<seams::PreparedImage> ImageLibrary::store(ImageRecord record, const std::string& reference) {
  record.origin = reference;
  record.pulled = writtenAt(blobPath(record.digest));
  const Digest digest = record.digest;
  Result<Image> image = complete(record);
  if (!image) return fail(std::move(image.error()));
  {
    std::lock_guard writer(recordMutex_);
    if (Result<void> written = writeRecord(record); !written) {
      return fail(std::move(written.error()));
    }
    std::lock_guard lock(mutex_);
    images_.try_emplace(digest.text(), std::move(*image));
  }
  Result<std::optional<seams::PreparedImage>> result = reuse(digest, reference);
  if (!result) return fail(std::move(result.error()));
  if (!*result)
    return fail(ErrorKind::Unavailable, "image " + reference + " was removed meanwhile");
  return std::move(**result);
}

// Only one unpacks a layer; the others wait for it and look again. Nobody waits holding a claim.
Result<StoredLayer> ImageLibrary::ensureLayer(const LayerTask& task,
                                              std::atomic<std::int64_t>& done) {
  const std::string key = task.diffId.hex();
  {
    std::unique_lock lock(mutex_);
    layerDone_.wait(lock, [&] { return !unpacking_.contains(key); });
    const auto known = layerSizes_.find(key);
    if (known != layerSizes_.end()) return StoredLayer{task.diffId, task.digest, known->second};
    unpacking_.insert(key);
  }
  Result<Bytes> size = unpackNew(task, done);
  std::lock_guard lock(mutex_);
  unpacking_.erase(key);
  layerDone_.notify_all();
  if (!size) return fail(std::move(size.error()));
  layerSizes_[key] = *size;
  return StoredLayer{task.diffId, task.digest, *size};
}

Result<Bytes> ImageLibrary::unpackNew(const LayerTask& task, std::atomic<std::int64_t>& done) {
  Result<TemporaryDirectory> work = TemporaryDirectory::make(root_ / "tmp");
  if (!work) return fail(std::move(work.error()));
  const fs::path directory = work->path() / "layer";
  if (::mkdir(directory.c_str(), 0755) != 0 || ::chmod(directory.c_str(), 0755) != 0) {
    return failFile(directory.string(), errno);
  }
  Result<LayerSize> size = unpackLayer(task, directory, done, stop_);
  if (!size) return fail(std::move(size.error()));
  Result<net::UniqueFd> fd = openDirectory(directory);
  if (!fd) return fail(std::move(fd.error()));
  // One sync of the file system costs less than one per file. Only then may the name be final.
  if (::syncfs(fd->get()) != 0) return failFile("sync " + directory.string(), errno);
  if (::rename(directory.c_str(), layerPath(task.diffId).c_str()) != 0) {
    return failFile("rename to " + layerPath(task.diffId).string(), errno);
  }
  if (Result<void> synced = syncDirectory(root_ / "layers"); !synced) {
    return fail(std::move(synced.error()));
  }
  return size->content;
}

Result<void> ImageLibrary::remove(const std::string& name, const std::vector<std::string>& inUse) {
  {
    std::lock_guard writer(recordMutex_);
    std::unique_lock lock(mutex_);
    std::string digest = name, reference;
    if (!images_.contains(name)) {
      Result<ImageReference> parsed = parseReference(name);
      reference = parsed ? parsed->canonical : name;
      const auto known = references_.find(reference);
      if (known == references_.end())
        return fail(ErrorKind::NotFound, "no image " + name + " here");
      digest = known->second;
    }
    ImageRecord& record = images_.at(digest).record;
    if (!reference.empty() && record.references.size() > 1) {
      record.references.erase(reference);
      references_.erase(reference);
      const ImageRecord copy = record;
      lock.unlock();
      return writeRecord(copy);
    }
    if (std::ranges::find(inUse, digest) != inUse.end()) {
      return fail(ErrorKind::AlreadyExists,
                  fmt::format("image {} is used by a function; delete or update that first", name),
                  "ImageInUse");
    }
    const fs::path file = recordPath(record.digest);
    if (::unlink(file.c_str()) != 0 && errno != ENOENT) return failFile(file.string(), errno);
    for (const std::string& owned : record.references) references_.erase(owned);
    images_.erase(digest);
    lock.unlock();
    if (Result<void> synced = syncDirectory(root_ / "index"); !synced) return synced;
  }
  collectGarbage();
  return {};
}

// Renames under the lock, so that no pull can start to count on what goes; removing takes longer
// and happens after it.
void ImageLibrary::collectGarbage() {
  Result<TemporaryDirectory> bin = TemporaryDirectory::make(root_ / "tmp");
  if (!bin) {
    log::warning("no garbage collected", "error=\"{}\"", bin.error().message);
    return;
  }
  std::lock_guard lock(mutex_);
  std::set<std::string> blobs, layers;
  for (const auto& [digest, image] : images_) {
    blobs.insert(image.record.digest.hex());
    blobs.insert(image.record.config.hex());
    for (const StoredLayer& layer : image.record.layers) {
      blobs.insert(layer.blob.hex());
      layers.insert(layer.diffId.hex());
    }
  }
  const auto sweep = [&](const fs::path& folder, const std::set<std::string>& used) {
    std::error_code error;
    for (const fs::directory_entry& item : fs::directory_iterator(folder, error)) {
      const std::string name = item.path().filename().string();
      if (used.contains(name) || pins_.contains(name) || unpacking_.contains(name)) continue;
      fs::rename(item.path(), bin->path() / (folder.filename().string() + "-" + name), error);
      if (folder.filename() == "layers") layerSizes_.erase(name);
    }
  };
  sweep(root_ / "blobs" / "sha256", blobs);
  sweep(root_ / "layers", layers);
}

}  // namespace okibi::images
