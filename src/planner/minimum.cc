// Bounds that others set: instances a function keeps (minimum), the most it may have (cap), and
// what an account may have (quota).

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "planner/core.h"
#include "planner/explain.h"

namespace okibi::planner {
namespace {

// A start that was only for the minimum is tried again after 1, 2, 4 … s, at most a minute.
Duration retryAfter(int failures) {
  const int doublings = std::min(failures - 1, 6);
  return std::min<Duration>(std::chrono::seconds(1) * (1 << doublings), std::chrono::seconds(60));
}

}  // namespace

void Planner::Core::on(const MinimumChanged& event) {
  Function* function = findFunction(event.function);
  if (!function || function->retired) return;
  OKIBI_CHECK(event.minimum >= 0, "function {}: minimum {}", event.function.value(), event.minimum);
  function->minimum = event.minimum;
  if (std::exchange(function->rest, event.rest) != event.rest && function->pool) {
    auto& instances = function->pool->instances;
    for (Instance* i = instances.front(); i; i = instances.next(*i)) {
      if (i->kept) keptChanged(*i);
    }
  }
  function->retryAt = now_;
  if (!function->pool) function->pool = std::make_unique<InstancePool>(function->concurrency);
  settle(*function);
  maybeAsleep_.push_back(function->key);
}

void Planner::Core::on(const CapChanged& event) {
  Group& group = groups_[{event.account, event.name}];
  group.most = event.most;
  int excess = group.most ? -group.room() : 0;
  const auto shed = [&](auto goes) {
    for (FunctionKey key : group.members) {
      Function& function = functions_.at(key);
      if (!function.pool) continue;
      for (Instance* i = function.pool->instances.front(); i && excess > 0;) {
        Instance* next = function.pool->instances.next(*i);
        if (goes(*i)) {
          release(*i, StopReason::MinimumLowered, "concurrency cap");
          --excess;
        }
        i = next;
      }
    }
  };
  // What has not started yet goes before what is idle; for that, those that leave count already.
  shed([](const Instance& i) { return i.state == InstanceState::Placing; });
  for (FunctionKey key : group.members) {
    if (const auto& pool = functions_.at(key).pool) excess -= pool->leaving();
  }
  shed([](const Instance& i) { return i.isIdle() && !i.kept; });
  unsettled_.insert(unsettled_.end(), group.members.begin(), group.members.end());
}

void Planner::Core::on(const QuotaChanged& event) {
  Account& account = accountNamed(event.account);
  account.cards.grant(event.cards);
  account.instances.grant(event.instances);
  if (event.burst > 0) account.starts.grant(event.burst, event.growth, now_);
  if (event.weight > 0) {
    account.weight = event.weight;
    for (auto& [type, shelf] : ledger_.shelves()) noteHolding(shelf, account, Bytes());
  }
  markDirty(account);
}

Account& Planner::Core::accountNamed(const std::string& name) {
  auto [entry, isNew] = accounts_.try_emplace(name);
  if (isNew) {
    entry->second.name = name;
    accountsById_.push_back(&entry->second);
    entry->second.id = accountsById_.size();
    entry->second.starts.grant(config_.startBurst, config_.startGrowth);
    entry->second.cards.grant(config_.cardQuota);
    entry->second.instances.grant(config_.instanceQuota);
  }
  return entry->second;
}

int Planner::Core::missing(const Function& function) const {
  if (function.minimum == 0 || draining_ || now_ < function.retryAt) return 0;
  const InstancePool& pool = *function.pool;
  return std::max(0, function.minimum - pool.here());
}

// Which instances are the kept ones: the oldest become it, the youngest stop being it first.
void Planner::Core::settleMinimum(Function& function) {
  InstancePool& pool = *function.pool;
  const int keeps = std::min(function.minimum, pool.here());
  const bool all = keeps == pool.here();  // who is not marked yet came last
  for (Instance* i = all ? pool.instances.back() : pool.instances.front();
       i && function.kept < keeps;
       i = all ? pool.instances.previous(*i) : pool.instances.next(*i)) {
    const bool leaving = i->state == InstanceState::Draining || i->state == InstanceState::Stopping;
    if (i->kept || leaving) continue;
    i->kept = true;
    ++function.kept;
    keptChanged(*i);
  }
  for (Instance* i = pool.instances.back(); i && function.kept > function.minimum;) {
    Instance* previous = pool.instances.previous(*i);
    if (i->kept) {
      i->kept = false;
      --function.kept;
      keptChanged(*i);
      const bool unneeded = i->isIdle() || (!i->serving() && pool.queue.empty());
      if (unneeded) release(*i, StopReason::MinimumLowered);
    }
    i = previous;
  }
  noteMissing(function);
}

// Since when something of its minimum is missing, in the order of arrivals.
void Planner::Core::noteMissing(Function& function) {
  if (missing(function) == 0) {
    function.ticket = 0;
  } else if (function.ticket == 0) {
    function.ticket = ++lastArrival_;
  }
}

// A kept instance stays, and rests as it was asked for: frozen and parked only where it may be.
void Planner::Core::setRule(Instance& instance) {
  // Who is parked stands in an order by what was chosen for it.
  if (instance.state != InstanceState::Parked) {
    chooseRule(instance);
  } else {
    instance.rule.idleTimeout = instance.function->keepAlive.idleTimeout;
  }
  if (!instance.kept) return;
  instance.rule.idleTimeout = kForever;
  if (instance.function->rest == MinimumChanged::Rest::Frozen) return;
  instance.rule.freezeAfter.reset();
  instance.rule.parkAfter.reset();
}

void Planner::Core::keptChanged(Instance& instance) {
  if (instance.ahead && instance.kept) setAhead(instance, false);
  if (instance.kept) closeParkedSpare(instance, false);
  instance.function->pool->updateRoom(instance);
  updateRoomMakers(instance);
  setRule(instance);
  if (!instance.isIdle() && instance.state != InstanceState::Parked) return;
  armIdleTimer(instance);
  if (instance.kept) return;
  // It can make room for others now.
  markDirty(*instance.function->account);
  if (instance.card) markDirty(*instance.function->shelf);
}

void Planner::Core::delayMinimum(Function& function) {
  if (function.minimum == 0) return;
  function.retryAt = now_ + retryAfter(function.startFailures);
  const Timer timer{function.retryAt, TimerKind::Minimum, function.key.value()};
  if (!timers_.contains(timer)) timers_.add(timer);
}

void Planner::Core::onMinimumTimer(FunctionKey key) {
  Function* function = findFunction(key);
  if (!function || function->minimum == 0) return;
  if (!function->pool) function->pool = std::make_unique<InstancePool>(function->concurrency);
  settle(*function);
  maybeAsleep_.push_back(key);
}

// The cap is reached: an idle instance of another revision makes room, if there is one.
void Planner::Core::makeRoomBelowCap(Function& function) {
  Group& group = *function.group;
  const InstancePool& pool = *function.pool;
  if (group.room() > 0 || pool.shortfall() == 0 || pool.total() > 0) return;
  for (FunctionKey key : group.members) {
    Function& other = functions_.at(key);
    if (&other == &function || !other.pool) continue;
    for (Instance* i = other.pool->instances.front(); i; i = other.pool->instances.next(*i)) {
      if (!i->isIdle() || i->kept) continue;
      return release(*i, StopReason::MadeRoom, roomFor(function, *i->function));
    }
  }
}

void Planner::Core::countInGroup(Function& function, int change) {
  Group& group = *function.group;
  group.alive += change;
  if (!group.most) return;
  unsettled_.insert(unsettled_.end(), group.members.begin(), group.members.end());
}

}  // namespace okibi::planner
