#include <algorithm>

#include "planner/core.h"
#include "planner/explain.h"

namespace okibi::planner {
namespace {

InstanceView viewOf(const Instance& instance) {
  InstanceView view{
      .id = instance.id,
      .function = instance.function->key,
      .state = instance.state,
      .health = instance.health,
      .since = instance.since,
      .kept = instance.kept,
      .inFlight = static_cast<int>(instance.inFlight.size() - instance.turn.waiting.size()),
      .sessions = instance.sessions,
      .waitingTurn = static_cast<int>(instance.turn.waiting.size()),
      .slice = std::nullopt,
      .idleSince = std::nullopt};
  if (instance.card) view.slice = Slice{instance.card->id, instance.function->slice};
  if (instance.isIdle() || instance.state == InstanceState::Parked)
    view.idleSince = instance.idleSince;
  return view;
}

FunctionView viewOf(const Function& function) {
  FunctionView view{.key = function.key,
                    .queued = 0,
                    .starting = 0,
                    .serving = 0,
                    .parked = 0,
                    .inLine = false,
                    .forCards = false,
                    .waitingFor = {},
                    .oldestDeadline = std::nullopt};
  if (!function.pool) return view;
  const InstancePool& pool = *function.pool;
  view.queued = pool.queue.size();
  view.starting = pool.starting() + pool.placing();
  view.serving = pool.serving();
  view.parked = pool.parkedOrParking();
  view.inLine = pool.line != nullptr;
  view.forCards = view.inLine && pool.lineShortage == Shortage::Cards;
  view.waitingFor = describe(pool.shortage, function);
  if (!pool.queue.empty()) view.oldestDeadline = pool.queue.front()->deadline;
  return view;
}

}  // namespace

std::vector<InstanceView> Planner::Core::instances() const {
  std::vector<InstanceView> views;
  views.reserve(instances_.size());
  for (const auto& [id, instance] : instances_) views.push_back(viewOf(instance));
  return views;
}

std::optional<InstanceView> Planner::Core::instance(InstanceId id) const {
  auto found = instances_.find(id);
  if (found == instances_.end()) return std::nullopt;
  return viewOf(found->second);
}

std::vector<CardView> Planner::Core::cards() const {
  std::vector<CardView> views;
  for (const auto& [id, card] : ledger_.cards()) {
    views.push_back({.id = id,
                     .type = card.shelf->type,
                     .memory = card.memory,
                     .used = card.held,
                     .claimed = card.claimed,
                     .slices = static_cast<int>(card.residents.size()),
                     .lost = card.lost});
  }
  return views;
}

std::vector<AccountView> Planner::Core::accounts() const {
  std::vector<AccountView> views;
  for (const auto& [name, account] : accounts_) {
    views.push_back({.name = name,
                     .cards = account.cards.held,
                     .cardQuota = account.cards.limit,
                     .instances = account.instances.held,
                     .instanceQuota = account.instances.limit,
                     .startsUsed = account.starts.unlimited()
                                       ? 0
                                       : account.starts.burst() - account.starts.left(now_),
                     .startBurst = account.starts.burst(),
                     .startGrowth = account.starts.growth()});
  }
  return views;
}

std::vector<FunctionView> Planner::Core::activeFunctions() const {
  std::vector<FunctionView> views;
  for (const auto& [key, function] : functions_) {
    if (function.pool) views.push_back(viewOf(function));
  }
  std::ranges::sort(views, {}, &FunctionView::key);
  return views;
}

std::optional<FunctionView> Planner::Core::function(FunctionKey key) const {
  auto found = functions_.find(key);
  if (found == functions_.end()) return std::nullopt;
  return viewOf(found->second);
}

}  // namespace okibi::planner
