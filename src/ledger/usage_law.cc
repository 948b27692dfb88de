#include "ledger/usage_law.h"

namespace okibi::ledger {

void UsageLaw::began(const std::string& name, UseKind kind, Instant now) {
  Instance& instance = instances_[name];
  if (instance.requests + instance.hooks == 0) instance.since = now;
  ++(kind == UseKind::Request ? instance.requests : instance.hooks);
}

void UsageLaw::ended(const std::string& name, UseKind kind, Duration share, const Records& records,
                     Instant now) {
  Instance& instance = instances_[name];
  if (share < Duration::zero()) broken("instance {}: a share of {} ns", name, share.count());
  instance.shares += share;
  if (instance.late > 0) {
    --instance.late;
  } else {
    --(kind == UseKind::Request ? instance.requests : instance.hooks);
    if (instance.requests + instance.hooks == 0) stopCounting(instance, kind, now);
  }
  read(name, instance, records);
  check(name, instance);
}

void UsageLaw::closed(const std::string& name, const Records& records, Instant now) {
  Instance& instance = instances_[name];
  const UseKind last = instance.requests > 0 ? UseKind::Request : UseKind::Hook;
  instance.late = instance.requests + instance.hooks;
  if (instance.late > 0) stopCounting(instance, last, now);
  instance.requests = instance.hooks = 0;
  read(name, instance, records);
  check(name, instance);
}

void UsageLaw::expectRest() {
  for (const auto& [name, instance] : instances_) {
    const int left = instance.requests + instance.hooks + instance.late;
    if (left > 0) broken("instance {}: {} uses never ended", name, left);
  }
}

void UsageLaw::stopCounting(Instance& instance, UseKind last, Instant now) {
  instance.active += now - instance.since;
  instance.endedWithHook |= last == UseKind::Hook;
}

void UsageLaw::read(const std::string& name, Instance& instance, const Records& records) {
  for (const Record& record : records) {
    if (const auto* interval = std::get_if<IntervalRecord>(&record)) {
      if (interval->terms.instance != name) continue;
      instance.recorded += interval->active;
      instance.used += interval->usage;
    } else if (const auto* call = std::get_if<InvocationRecord>(&record)) {
      if (call->place.instance == name) instance.billed += call->bill;
    }
  }
}

void UsageLaw::check(const std::string& name, const Instance& instance) {
  if (instance.requests + instance.hooks + instance.late > 0) return;
  if (instance.shares != instance.active) {
    broken("instance {}: active for {} ns, shares sum to {}", name, instance.active.count(),
           instance.shares.count());
  }
  if (instance.recorded != instance.active) {
    broken("instance {}: active for {} ns, intervals sum to {}", name, instance.active.count(),
           instance.recorded.count());
  }
  const bool exact = instance.billed == instance.used;
  const bool less = instance.billed.activeMs <= instance.used.activeMs &&
                    instance.billed.gpuMbMs <= instance.used.gpuMbMs;
  if (instance.endedWithHook ? less : exact) return;
  broken("instance {}: used {} ms and {} GPU MB ms, billed {} and {}", name, instance.used.activeMs,
         instance.used.gpuMbMs, instance.billed.activeMs, instance.billed.gpuMbMs);
}

}  // namespace okibi::ledger
