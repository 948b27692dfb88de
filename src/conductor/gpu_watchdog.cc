#include "conductor/gpu_watchdog.h"

namespace okibi::conductor {

bool isWithin(const std::string& inner, const std::string& group) {
  if (group.empty() || !inner.starts_with(group)) return false;
  return inner.size() == group.size() || group.ends_with('/') || inner[group.size()] == '/';
}

Bytes usedWithin(const seams::GpuUse& use, const std::string& cgroup) {
  Bytes sum;
  for (const seams::ProcessUse& process : use.processes) {
    if (process.memory && isWithin(process.cgroup, cgroup)) sum += *process.memory;
  }
  return sum;
}

std::vector<Excess> GpuWatchdog::sample(const seams::GpuUse& use,
                                        const std::vector<SliceHolder>& holders) {
  std::vector<Excess> excesses;
  std::set<InstanceId> over;
  for (const SliceHolder& holder : holders) {
    const Bytes used = usedWithin(use, holder.cgroup);
    const Bytes allowed = holder.slice + allowance_;
    if (used <= allowed) continue;
    over.insert(holder.instance);
    if (over_.contains(holder.instance)) excesses.push_back({holder.instance, used, allowed});
  }
  over_ = std::move(over);
  return excesses;
}

}  // namespace okibi::conductor
