#pragma once
// OciImageStore: the ImageStore of a daemon. Work happens in ImageLibrary on the loop's workers;
// here it is shared between callers: several pulls of one reference at once are one.

#include <deque>
#include <map>
#include <memory>
#include <string>

#include "images/image_library.h"
#include "net/loop.h"
#include "seams/image_store.h"

namespace okibi::images {

class OciImageStore : public seams::ImageStore {
 public:
  using Options = LibraryOptions;

  // Blocks while it looks at what is there. Errors: Internal (the directory cannot be used).
  static Result<std::unique_ptr<OciImageStore>> open(net::Loop& loop, Options options);
  // REQUIRES: the loop is destroyed, or no pull is running.
  ~OciImageStore() override;

  net::Task<Result<seams::PreparedImage>> pull(std::string reference,
                                               std::optional<RegistryAuth> auth,
                                               seams::ProgressListener progress) override;
  Result<seams::PreparedImage> find(const std::string& digest) const override;
  std::vector<seams::PreparedImage> list() const override;
  net::Task<Result<void>> remove(std::string digestOrReference,
                                 std::vector<std::string> inUse) override;
  // Running pulls end soon, with Cancelled. Call it before the loop is destroyed, which waits for
  // its workers.
  void shutdown();

 private:
  struct Pull;    // one run of the library
  struct Waiter;  // one caller of it

  OciImageStore(net::Loop& loop, std::unique_ptr<ImageLibrary> library);
  void startWaiting();
  net::Task<void> runPull(std::shared_ptr<Pull> pull);

  net::Loop& loop_;
  std::unique_ptr<ImageLibrary> library_;
  // Loop thread only:
  std::map<std::string, std::shared_ptr<Pull>> pulls_;  // by reference and credentials
  std::deque<std::shared_ptr<Pull>> waiting_;           // for one of kPullsAtOnce to end
  int running_ = 0;
};

}  // namespace okibi::images
