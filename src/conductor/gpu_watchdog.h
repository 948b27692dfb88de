#pragma once
// GpuWatchdog: whether an instance holds more of its card than its slice, by what the driver
// reports. It stands behind the shim: whatever goes round the shim's budget is seen here. Pure; fed
// with one sample of all cards after another.

#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/units.h"
#include "seams/gpu_inventory.h"

namespace okibi::conductor {

// An instance with a slice, as far as the watchdog needs it.
struct SliceHolder {
  InstanceId instance;
  Bytes slice;
  std::string cgroup;  // of its processes, as in ProcessUse; empty: not known yet
};

struct Excess {
  InstanceId instance;
  Bytes used, allowed;
};

// By whole names: "/a/b" holds "/a/b" and "/a/b/c", not "/a/bc"; "" holds nothing.
bool isWithin(const std::string& inner, const std::string& group);

// What the processes of a control group hold, on all cards together. A process whose use the driver
// does not know counts nothing.
Bytes usedWithin(const seams::GpuUse& use, const std::string& cgroup);

class GpuWatchdog {
 public:
  // `allowance`: what an instance may hold above its slice. A process's CUDA context and code are
  // not in the shim's count (300–600 MB on current cards).
  explicit GpuWatchdog(Bytes allowance = Bytes::mib(768)) : allowance_(allowance) {}

  // The instances that were over slice + allowance in this sample and in the one before: a single
  // one may have caught an allocation that the shim was about to refuse or give back.
  std::vector<Excess> sample(const seams::GpuUse& use, const std::vector<SliceHolder>& holders);

 private:
  Bytes allowance_;
  std::set<InstanceId> over_;  // in the last sample
};

}  // namespace okibi::conductor
