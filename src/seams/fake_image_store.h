#pragma once
// An ImageStore whose registry is a list. Pulls can be slow, fail, or be held until released.

#include <map>
#include <memory>
#include <string>

#include "net/event.h"
#include "net/loop.h"
#include "seams/image_store.h"

namespace okibi::seams {

class FakeImageStore : public ImageStore {
 public:
  explicit FakeImageStore(net::Loop& loop) : loop_(loop) {}

  // The registry has it from now on, under this reference; replaces what had it before.
  void publish(const std::string& reference, ImageConfig config);
  // Pulls of the reference fail from now on; without error they work again.
  void failPulls(const std::string& reference, std::optional<Error> error);
  // Pulls of the reference wait until release().
  void hold(const std::string& reference);
  void release(const std::string& reference);
  // Each pull takes so long.
  Duration pullTime{};

  std::size_t pulls() const { return pulls_; }

  net::Task<Result<PreparedImage>> pull(std::string reference, std::optional<RegistryAuth> auth,
                                        ProgressListener progress) override;
  Result<PreparedImage> find(const std::string& digest) const override;
  std::vector<PreparedImage> list() const override;
  net::Task<Result<void>> remove(std::string digestOrReference,
                                 std::vector<std::string> inUse) override;

 private:
  net::Loop& loop_;
  std::map<std::string, PreparedImage> registry_;  // by reference
  std::map<std::string, PreparedImage> present_;   // by digest
  std::map<std::string, Error> failing_;
  std::map<std::string, std::vector<std::shared_ptr<net::Event>>> held_;
  std::size_t pulls_ = 0, published_ = 0;
};

}  // namespace okibi::seams
