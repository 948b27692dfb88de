#pragma once
// Writable layers made ahead, per size. A size that was never seen is made on demand and pooled
// from then on; the sizes longest unused are forgotten.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "launcher/disk.h"
#include "launcher/reactor.h"

namespace okibi::launcher {

class DiskPool {
 public:
  struct Options {
    int ready = 2;      // kept mounted per size
    int preparing = 4;  // made at the same time, over all sizes
    int sizes = 4;      // that are kept ready
  };
  // `onReady`: a disk of some size waits. `onFailure`: one of `bytes` could not be made.
  DiskPool(Reactor& reactor, std::string directory, Options options, std::function<void()> onReady,
           std::function<void(std::uint64_t bytes, Failure)> onFailure);

  // The mount point of a fresh disk of this size, none when none waits. The caller owns it.
  std::optional<std::string> take(std::uint64_t bytes);
  // Makes as many as `waiting` starts need beyond what is being made, and the number kept ready.
  void provideFor(std::uint64_t bytes, int waiting);
  void refill();
  void release(const std::string& mountPoint, std::function<void()> done);

 private:
  struct Size {
    Fd source;  // the template
    std::vector<std::string> ready;
    int preparing = 0;
    bool makingTemplate = false;
    std::uint64_t lastUse = 0;
    int waiting = 0;
  };
  Status startTemplate(std::uint64_t bytes, Size& size);
  Status startCopy(std::uint64_t bytes, Size& size);
  void onTemplate(std::uint64_t bytes, Outcome<Fd> made);
  void onCopy(std::uint64_t bytes, const std::string& mountPoint, Outcome<Fd> made);
  void forgetOldSizes();

  Reactor& reactor_;
  std::string directory_;
  Options options_;
  std::function<void()> onReady_;
  std::function<void(std::uint64_t, Failure)> onFailure_;
  std::map<std::uint64_t, Size> sizes_;
  int preparing_ = 0;
  std::uint64_t uses_ = 0, nextName_ = 1;
};

}  // namespace okibi::launcher
