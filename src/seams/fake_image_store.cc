#include "seams/fake_image_store.h"

#include <algorithm>

#include <fmt/format.h>

namespace okibi::seams {

void FakeImageStore::publish(const std::string& reference, ImageConfig config) {
  PreparedImage image;
  image.reference = reference;
  image.digest = fmt::format("sha256:{:064x}", ++published_);
  image.config = std::move(config);
  image.layers = {"/layers/" + image.digest};
  image.size = Bytes::mib(1);
  registry_[reference] = std::move(image);
}

void FakeImageStore::failPulls(const std::string& reference, std::optional<Error> error) {
  failing_.erase(reference);
  if (error) failing_.emplace(reference, std::move(*error));
}

void FakeImageStore::hold(const std::string& reference) {
  held_.try_emplace(reference);
}

void FakeImageStore::release(const std::string& reference) {
  const auto waiting = held_.extract(reference);
  if (waiting.empty()) return;
  for (const auto& event : waiting.mapped()) event->set();
}

net::Task<Result<PreparedImage>> FakeImageStore::pull(std::string reference,
                                                      std::optional<RegistryAuth>,
                                                      ProgressListener progress) {
  ++pulls_;
  progress({"resolve", Bytes(), Bytes()});
  co_await loop_.sleep(pullTime);
  if (const auto held = held_.find(reference); held != held_.end()) {
    const auto event = std::make_shared<net::Event>(loop_);
    held->second.push_back(event);
    // Only the loop's own end ends this wait otherwise.
    (void)co_await event->wait();
  }
  if (const auto failing = failing_.find(reference); failing != failing_.end()) {
    co_return fail(failing->second);
  }
  const auto found = registry_.find(reference);
  if (found == registry_.end()) {
    co_return fail(ErrorKind::NotFound, fmt::format("image '{}' does not exist", reference));
  }
  present_[found->second.digest] = found->second;
  progress({"done", Bytes(), Bytes()});
  co_return found->second;
}

Result<PreparedImage> FakeImageStore::find(const std::string& digest) const {
  const auto found = present_.find(digest);
  if (found != present_.end()) return found->second;
  return fail(ErrorKind::NotFound, fmt::format("image '{}' is not here", digest));
}

std::vector<PreparedImage> FakeImageStore::list() const {
  std::vector<PreparedImage> images;
  for (const auto& [digest, image] : present_) images.push_back(image);
  return images;
}

net::Task<Result<void>> FakeImageStore::remove(std::string digestOrReference,
                                               std::vector<std::string> inUse) {
  const auto named = std::ranges::find_if(present_, [&](const auto& entry) {
    return entry.first == digestOrReference || entry.second.reference == digestOrReference;
  });
  if (named == present_.end()) {
    co_return fail(ErrorKind::NotFound, fmt::format("image '{}' is not here", digestOrReference));
  }
  if (std::ranges::find(inUse, named->first) != inUse.end()) {
    co_return fail(ErrorKind::AlreadyExists,
                   fmt::format("image '{}' is in use", digestOrReference));
  }
  present_.erase(named);
  co_return Result<void>();
}

}  // namespace okibi::seams
