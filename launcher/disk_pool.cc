#include "launcher/disk_pool.h"

#include <algorithm>

#include "launcher/worker.h"

namespace okibi::launcher {

DiskPool::DiskPool(Reactor& reactor, std::string directory, Options options,
                   std::function<void()> onReady,
                   std::function<void(std::uint64_t, Failure)> onFailure)
    : reactor_(reactor),
      directory_(std::move(directory)),
      options_(options),
      onReady_(std::move(onReady)),
      onFailure_(std::move(onFailure)) {}

std::optional<std::string> DiskPool::take(std::uint64_t bytes) {
  Size& size = sizes_[bytes];
  size.lastUse = ++uses_;
  if (size.ready.empty()) return std::nullopt;
  std::string mountPoint = std::move(size.ready.back());
  size.ready.pop_back();
  return mountPoint;
}

void DiskPool::provideFor(std::uint64_t bytes, int waiting) {
  Size& size = sizes_[bytes];
  size.waiting = waiting;
  Status started;
  if (!size.source) {
    if (!size.makingTemplate) started = startTemplate(bytes, size);
  } else {
    int wanted = options_.ready + waiting;
    while (started && static_cast<int>(size.ready.size()) + size.preparing < wanted &&
           preparing_ < options_.preparing) {
      started = startCopy(bytes, size);
    }
  }
  if (!started) onFailure_(bytes, std::move(started.error()));
}

void DiskPool::refill() {
  forgetOldSizes();
  std::vector<std::uint64_t> all;
  for (const auto& [bytes, size] : sizes_) all.push_back(bytes);
  for (std::uint64_t bytes : all) provideFor(bytes, sizes_[bytes].waiting);
}

Status DiskPool::startTemplate(std::uint64_t bytes, Size& size) {
  size.makingTemplate = true;
  auto job = [this, bytes] { return disk::makeTemplate(directory_, bytes); };
  auto done = [this, bytes](Outcome<Fd> made) { onTemplate(bytes, std::move(made)); };
  Outcome<int> started = runWorker(reactor_, job, done);
  if (started) return {};
  size.makingTemplate = false;
  return named("disk", started.error());
}

void DiskPool::onTemplate(std::uint64_t bytes, Outcome<Fd> made) {
  Size& size = sizes_[bytes];
  size.makingTemplate = false;
  if (!made) {
    sizes_.erase(bytes);
    onFailure_(bytes, Failure{"disk", made.error().error, made.error().detail});
    return;
  }
  size.source = std::move(*made);
  provideFor(bytes, size.waiting);
}

Status DiskPool::startCopy(std::uint64_t bytes, Size& size) {
  std::string mountPoint = directory_ + "/mnt/d-" + std::to_string(nextName_++);
  // A worker's failure is the template's too, so the descriptor stays valid in the child.
  auto job = [this, bytes, mountPoint, &size]() -> Outcome<Fd> {
    Status mounted = disk::mountCopy(size.source, bytes, directory_, mountPoint);
    if (!mounted) return std::unexpected(mounted.error());
    return Fd();
  };
  auto done = [this, bytes, mountPoint](Outcome<Fd> made) {
    onCopy(bytes, mountPoint, std::move(made));
  };
  Outcome<int> started = runWorker(reactor_, job, done);
  if (!started) return named("disk", started.error());
  ++size.preparing;
  ++preparing_;
  return {};
}

void DiskPool::onCopy(std::uint64_t bytes, const std::string& mountPoint, Outcome<Fd> made) {
  Size& size = sizes_[bytes];
  --size.preparing;
  --preparing_;
  if (!made) {
    onFailure_(bytes, Failure{"disk", made.error().error, made.error().detail});
    return;
  }
  size.ready.push_back(mountPoint);
  onReady_();
  refill();
}

void DiskPool::release(const std::string& mountPoint, std::function<void()> done) {
  auto job = [mountPoint]() -> Outcome<Fd> {
    disk::unmount(mountPoint);
    return Fd();
  };
  Outcome<int> started = runWorker(reactor_, job, [done](Outcome<Fd>) { done(); });
  if (started) return;
  disk::unmount(mountPoint);
  done();
}

void DiskPool::forgetOldSizes() {
  while (static_cast<int>(sizes_.size()) > options_.sizes) {
    auto oldest = sizes_.end();
    for (auto it = sizes_.begin(); it != sizes_.end(); ++it) {
      bool busy = it->second.preparing > 0 || it->second.makingTemplate || it->second.waiting > 0;
      if (!busy && (oldest == sizes_.end() || it->second.lastUse < oldest->second.lastUse))
        oldest = it;
    }
    if (oldest == sizes_.end()) return;
    for (const std::string& mountPoint : oldest->second.ready) release(mountPoint, [] {});
    sizes_.erase(oldest);
  }
}

}  // namespace okibi::launcher
