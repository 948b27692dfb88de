#include "images/oci_image_store.h"

#include <vector>

#include "images/image_limits.h"
#include "net/event.h"

namespace okibi::images {

struct OciImageStore::Waiter {
  explicit Waiter(net::Loop& loop) : answer(loop) {}
  net::OneShot<Result<seams::PreparedImage>> answer;
  seams::ProgressListener progress;
};

struct OciImageStore::Pull {
  std::string key, reference;
  std::optional<RegistryAuth> auth;
  std::vector<std::weak_ptr<Waiter>> waiters;  // gone: its caller was cancelled
};

Result<std::unique_ptr<OciImageStore>> OciImageStore::open(net::Loop& loop, Options options) {
  Result<std::unique_ptr<ImageLibrary>> library = ImageLibrary::open(std::move(options));
  if (!library) return fail(std::move(library.error()));
  return std::unique_ptr<OciImageStore>(new OciImageStore(loop, std::move(*library)));
}

OciImageStore::OciImageStore(net::Loop& loop, std::unique_ptr<ImageLibrary> library)
    : loop_(loop), library_(std::move(library)) {}

OciImageStore::~OciImageStore() = default;

void OciImageStore::shutdown() {
  library_->shutdown();
}

net::Task<Result<seams::PreparedImage>> OciImageStore::pull(std::string reference,
                                                            std::optional<RegistryAuth> auth,
                                                            seams::ProgressListener progress) {
  // Callers share a pull only with the same credentials: nobody gets a private image by being
  // second.
  std::string key = reference;
  if (auth) key += '\0' + auth->user + '\0' + auth->password;
  auto waiter = std::make_shared<Waiter>(loop_);
  waiter->progress = std::move(progress);
  std::shared_ptr<Pull>& pull = pulls_[key];
  if (pull == nullptr) {
    pull = std::make_shared<Pull>(Pull{key, std::move(reference), std::move(auth), {}});
    waiting_.push_back(pull);
  }
  pull->waiters.push_back(waiter);
  startWaiting();
  Result<Result<seams::PreparedImage>> answer = co_await waiter->answer.wait();
  if (!answer) co_return fail(std::move(answer.error()));
  co_return std::move(*answer);
}

// Tasks of their own: a pull goes on for the others when its first caller goes away.
void OciImageStore::startWaiting() {
  while (running_ < kPullsAtOnce && !waiting_.empty()) {
    ++running_;
    loop_.spawn(runPull(std::move(waiting_.front())));
    waiting_.pop_front();
  }
}

net::Task<void> OciImageStore::runPull(std::shared_ptr<Pull> pull) {
  const auto onProgress = [this, pull](const seams::PullProgress& now) {
    loop_.post([pull, now] {
      for (const std::weak_ptr<Waiter>& item : pull->waiters) {
        std::shared_ptr<Waiter> waiter = item.lock();
        if (waiter && waiter->progress) waiter->progress(now);
      }
    });
  };
  auto work = [this, pull, onProgress] {
    return library_->pull(pull->reference, pull->auth, onProgress);
  };
  Result<seams::PreparedImage> image = co_await loop_.offload(std::move(work));
  pulls_.erase(pull->key);
  --running_;
  startWaiting();
  for (const std::weak_ptr<Waiter>& item : pull->waiters) {
    if (std::shared_ptr<Waiter> waiter = item.lock()) waiter->answer.set(image);
  }
}

Result<seams::PreparedImage> OciImageStore::find(const std::string& digest) const {
  return library_->find(digest);
}

std::vector<seams::PreparedImage> OciImageStore::list() const {
  return library_->list();
}

net::Task<Result<void>> OciImageStore::remove(std::string digestOrReference,
                                              std::vector<std::string> inUse) {
  auto work = [this, name = std::move(digestOrReference), used = std::move(inUse)] {
    return library_->remove(name, used);
  };
  co_return co_await loop_.offload(std::move(work));
}

}  // namespace okibi::images
