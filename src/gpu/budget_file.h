#pragma once
// The daemon's end of an instance's GPU budget (shim/budget.h is the contract): made before the
// instance starts, mounted into its container, read by the watchdog and by parking, closed when the
// instance must take no more.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "shim/budget.h"

namespace okibi::gpu {

struct BudgetCard {
  Bytes limit;
  // As the driver spells it ("GPU-…"), at most 47 characters; empty: by the order of the
  // container's cards.
  std::string uuid;
};

struct BudgetSettings {
  std::vector<BudgetCard> cards;  // 1 to budget::kMaxCards
  // Charged for each context of each process: what the driver takes without being asked. Measured
  // per card type.
  Bytes perContext;
};

struct BudgetedProcess {
  std::uint32_t pid = 0;           // in the pid namespace of the container
  std::uint32_t pidNamespace = 0;  // inode; 0: not known
  std::uint64_t startTick = 0;
  std::uint32_t marks = 0;  // budget::Mark
  std::vector<Bytes> used;  // per card
};

// A mapped budget file. Not copied; any thread may call it, and processes change the figures
// meanwhile.
class BudgetFile {
 public:
  // Makes the file anew, mode 0666: the processes of the instance write it under whatever user they
  // run as. Its folder is what keeps others out. Invalid names the setting.
  static Result<BudgetFile> create(const std::string& path, const BudgetSettings& settings);

  // Maps one made earlier. Invalid says what is wrong with it.
  static Result<BudgetFile> open(const std::string& path);

  unsigned cards() const { return file_->cards; }
  Bytes limit(unsigned card) const;
  Bytes used(unsigned card) const;
  std::vector<BudgetedProcess> processes();

  // Marks of all living processes together: not 0 means that the driver cannot park the instance as
  // it is.
  std::uint32_t marks();

  // From now on every charge is refused, in all processes, for good.
  void close();
  bool corrupt() const;

  // Frees the slots of processes for which `alive` is false. Returns how many. Only the daemon, one
  // caller at a time.
  int reap(const std::function<bool(const BudgetedProcess&)>& alive);

 private:
  struct Unmap {
    void operator()(budget::File* file) const;
  };
  using Mapping = std::unique_ptr<budget::File, Unmap>;

  explicit BudgetFile(Mapping file) : file_(std::move(file)) {}
  static Result<Mapping> map(int fd, const std::string& path);
  BudgetedProcess processIn(unsigned slot, std::uint64_t owner);

  Mapping file_;
};

// For reap(): whether a process of another pid namespace lives, judged by the host's /proc. Reads
// all of it once, when made. A process that it cannot look at counts as alive.
class HostProcesses {
 public:
  HostProcesses();
  bool alive(const BudgetedProcess& process) const;

 private:
  struct Known {
    std::uint32_t pid, pidNamespace;
    auto operator<=>(const Known&) const = default;
  };
  std::vector<Known> known_;  // sorted; pid as counted in the innermost namespace
};

}  // namespace okibi::gpu
