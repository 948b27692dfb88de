#include "ledger/usage_meter.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace okibi::ledger {

void UsageMeter::openInstance(InstanceTerms terms, Moment now, Records& out) {
  const std::string name = terms.instance;
  OKIBI_CHECK(!name.empty());
  const auto [at, isNew] = instances_.try_emplace(name);
  OKIBI_CHECK(isNew, "instance {} is open already", name);
  at->second.terms = std::move(terms);
  at->second.opened = now.wall;
  out.push_back(InstanceOpened{at->second.terms, now.wall});
}

UseId UsageMeter::begin(const std::string& name, UseKind kind, Moment now) {
  Instance& instance = instanceAt(name);
  if (instance.uses.empty()) {
    ++instance.intervals;
    instance.intervalStart = now;
    instance.settled = now.at;
    instance.billed = {};
  } else {
    settle(instance, now.at);
  }
  const UseId id(++lastUse_);
  Use& use = uses_[id];
  use.instance = name;
  use.kind = kind;
  use.place = {name, instance.intervals, instance.intervalStart};
  use.began = now.at;
  instance.uses.push_back(id);
  return id;
}

void UsageMeter::endRequest(UseId id, InvocationRecord record, Moment now, Records& out) {
  Records interval;
  Use use = take(id, UseKind::Request, now, interval);
  record.place = std::move(use.place);
  record.duration = use.ended - use.began;
  record.share = use.share;
  record.ended = use.ended;
  record.gpuType = std::move(use.gpuType);
  record.gpuMemory = use.gpuMemory;
  record.gpuPrice = use.gpuPrice;
  record.bill = use.bill;
  // The invocation stands before the interval: should only it reach the log, recovery ends the
  // interval at this very end.
  out.push_back(std::move(record));
  out.insert(out.end(), interval.begin(), interval.end());
}

Duration UsageMeter::endHook(UseId id, Moment now, Records& out) {
  return take(id, UseKind::Hook, now, out).share;
}

void UsageMeter::closeInstance(const std::string& name, std::string reason, Moment now,
                               Records& out) {
  Instance& instance = instanceAt(name);
  if (!instance.uses.empty()) {
    settle(instance, now.at);
    for (const UseId id : instance.uses) {
      Use& use = uses_.at(id);
      use.stopped = true;
      endUse(instance, use, now.at);
    }
    instance.uses.clear();
    closeInterval(instance, out);
  }
  instances_.erase(name);
  out.push_back(InstanceClosed{name, now.wall, std::move(reason)});
}

void UsageMeter::heartbeat(Moment now, Records& out) const {
  for (const auto& [name, instance] : instances_) {
    if (instance.uses.empty()) continue;
    out.push_back(Heartbeat{{name, instance.intervals, instance.intervalStart}, now.at});
  }
}

Records UsageMeter::preamble(Moment now) const {
  Records records;
  for (const auto& [name, instance] : instances_) {
    records.push_back(InstanceOpened{instance.terms, instance.opened});
  }
  heartbeat(now, records);
  return records;
}

std::uint64_t UsageMeter::intervals(const std::string& name) const {
  const auto found = instances_.find(name);
  OKIBI_CHECK(found != instances_.end(), "instance {} is not open", name);
  return found->second.intervals;
}

Duration UsageMeter::activeTime(const std::string& name, Instant now) const {
  const auto found = instances_.find(name);
  OKIBI_CHECK(found != instances_.end(), "instance {} is not open", name);
  const Instance& instance = found->second;
  if (instance.uses.empty()) return instance.closedActive;
  return instance.closedActive + (now - instance.intervalStart.at);
}

UsageMeter::Instance& UsageMeter::instanceAt(const std::string& name) {
  const auto found = instances_.find(name);
  OKIBI_CHECK(found != instances_.end(), "instance {} is not open", name);
  return found->second;
}

// Divides the time since the last event among the uses on the instance.
void UsageMeter::settle(Instance& instance, Instant now) {
  const std::int64_t elapsed = (now - instance.settled).count();
  OKIBI_CHECK(elapsed >= 0, "time went back by {} ns", -elapsed);
  instance.settled = now;
  const auto count = static_cast<std::int64_t>(instance.uses.size());
  if (elapsed == 0 || count == 0) return;
  const std::int64_t each = elapsed / count;
  std::int64_t rest = elapsed % count;
  for (const UseId id : instance.uses) {
    uses_.at(id).share += Duration(each + (rest > 0 ? 1 : 0));
    if (rest > 0) --rest;
  }
}

// REQUIRES: settled up to `now`.
void UsageMeter::endUse(Instance& instance, Use& use, Instant now) {
  use.ended = now;
  // A model's load is on the bill of the request it was loaded for, which ends after it.
  if (use.kind == UseKind::Hook) return;
  const Usage soFar = usageOfInterval(instance.terms, now - instance.intervalStart.at);
  use.bill = soFar;
  use.bill -= instance.billed;
  instance.billed = soFar;
  use.gpuType = instance.terms.gpuType;
  use.gpuMemory = instance.terms.gpuMemory;
  use.gpuPrice = instance.terms.gpuPrice;
}

void UsageMeter::closeInterval(Instance& instance, Records& out) {
  const Duration active = instance.settled - instance.intervalStart.at;
  instance.closedActive += active;
  out.push_back(IntervalRecord{.terms = instance.terms,
                               .number = instance.intervals,
                               .started = instance.intervalStart.wall,
                               .active = active,
                               .usage = usageOfInterval(instance.terms, active),
                               .closing = Closing::Measured});
}

// Ends the use and forgets it. Its instance may have been closed before; then it ended with it.
UsageMeter::Use UsageMeter::take(UseId id, UseKind kind, Moment now, Records& interval) {
  const auto found = uses_.find(id);
  OKIBI_CHECK(found != uses_.end(), "use {} does not exist", id.value());
  OKIBI_CHECK(found->second.kind == kind, "use {} is of the other kind", id.value());
  if (!found->second.stopped) {
    Instance& instance = instanceAt(found->second.instance);
    settle(instance, now.at);
    std::erase(instance.uses, id);
    endUse(instance, found->second, now.at);
    if (instance.uses.empty()) closeInterval(instance, interval);
  }
  Use use = std::move(found->second);
  uses_.erase(found);
  return use;
}

}  // namespace okibi::ledger
