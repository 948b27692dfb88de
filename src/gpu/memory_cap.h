#pragma once
// MemoryCap: a limit on a card's memory that the driver itself holds, per control group. Where the
// machine has it, it stands under the shim's budget: what goes round the shim meets it. Blocks:
// worker threads.

#include <filesystem>

#include "base/ids.h"
#include "base/result.h"
#include "base/units.h"

namespace okibi::gpu {

class MemoryCap {
 public:
  virtual ~MemoryCap() = default;

  // All device memory of the processes in `cgroup` (a directory) on `card` counts, contexts
  // included. Set, then read back: only that tells whether the driver does it. Unavailable: it does
  // not, on this card or for this cgroup.
  virtual Result<void> set(CardId card, const std::filesystem::path& cgroup, Bytes limit) = 0;
  // Before the cgroup is removed; otherwise its ancestors keep the reservation.
  virtual Result<void> clear(CardId card, const std::filesystem::path& cgroup) = 0;
};

}  // namespace okibi::gpu
