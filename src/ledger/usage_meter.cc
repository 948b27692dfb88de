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
    settleIdle(instance, now);
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
  } else {
    settleIdle(instance, now);
  }
  takeIdle(instance, now.wall, out);
  out.push_back(
      InstanceClosed{std::move(instance.terms), instance.opened, now.wall, std::move(reason)});
  instances_.erase(name);
}

void UsageMeter::keepIdle(const std::string& name, bool kept, UnitPrice gpuPrice, Moment now,
                          Records& out) {
  Instance& instance = instanceAt(name);
  settleIdle(instance, now);
  if (instance.keptIdle && !kept) takeIdle(instance, now.wall, out);
  instance.keptIdle = kept;
  instance.idlePrice = gpuPrice;
  instance.idleSettled = now.at;
}

void UsageMeter::billIdle(Moment now, Duration least, Records& out) {
  for (auto& [name, instance] : instances_) {
    settleIdle(instance, now);
    if (instance.idle >= least) takeIdle(instance, now.wall, out);
  }
}

void UsageMeter::split(Moment now, Duration least, Records& out) {
  for (auto& [name, instance] : instances_) {
    const Duration open = now.at - instance.intervalStart.at;
    if (instance.uses.empty() || open < least) continue;
    const auto whole = std::chrono::floor<std::chrono::seconds>(open);
    if (whole == Duration::zero()) continue;
    const Usage usage = usageOfInterval(instance.terms, whole);
    out.push_back(IntervalRecord{.terms = instance.terms,
                                 .number = instance.intervals,
                                 .started = instance.intervalStart.wall,
                                 .active = whole,
                                 .usage = usage,
                                 .closing = Closing::Measured});
    ++instance.intervals;
    instance.closedActive += whole;
    instance.intervalStart = {instance.intervalStart.at + whole,
                              instance.intervalStart.wall + whole};
    instance.billed -= usage;
    for (const UseId id : instance.uses) {
      uses_.at(id).place = {name, instance.intervals, instance.intervalStart};
    }
  }
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

Duration UsageMeter::idleTime(const std::string& name, Instant now) const {
  const auto found = instances_.find(name);
  OKIBI_CHECK(found != instances_.end(), "instance {} is not open", name);
  const Instance& instance = found->second;
  const Duration counted = instance.idleBilled + instance.idle;
  if (!instance.keptIdle || !instance.uses.empty()) return counted;
  return counted + (now - instance.idleSettled);
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

// Counts the time since it was last counted, if the instance rests.
void UsageMeter::settleIdle(Instance& instance, Moment now) {
  if (!instance.keptIdle || !instance.uses.empty()) return;
  const Duration rested = now.at - instance.idleSettled;
  // A bill may be asked for with a moment from before the last use ended.
  if (rested <= Duration::zero()) return;
  if (instance.idle == Duration::zero()) {
    instance.idleFrom = now.wall - std::chrono::floor<std::chrono::milliseconds>(rested);
  }
  instance.idle += rested;
  instance.idleSettled = now.at;
}

// Less than a millisecond stays for the next time.
void UsageMeter::takeIdle(Instance& instance, WallTime now, Records& out) {
  const auto whole = std::chrono::floor<std::chrono::milliseconds>(instance.idle);
  if (whole == Duration::zero()) return;
  out.push_back(IdleRecord{.terms = instance.terms,
                           .started = std::min(instance.idleFrom, now),
                           .idle = whole,
                           .gpuPrice = instance.idlePrice});
  instance.idle -= whole;
  instance.idleBilled += whole;
  instance.idleFrom = now;
}

void UsageMeter::closeInterval(Instance& instance, Records& out) {
  instance.idleSettled = instance.settled;
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
