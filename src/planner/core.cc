#include "planner/core.h"

#include <algorithm>
#include <utility>

namespace okibi::planner {

Planner::Planner(PlannerConfig config) : core_(std::make_unique<Core>(config)) {}
Planner::~Planner() = default;

void Planner::step(Instant now, const Event& event, std::vector<Command>& commands) {
  core_->step(now, event, commands);
}
void Planner::checkInvariants() const {
  core_->checkInvariants();
}
bool Planner::atRest() const {
  return core_->atRest();
}
std::vector<InstanceView> Planner::instances() const {
  return core_->instances();
}
std::optional<InstanceView> Planner::instance(InstanceId id) const {
  return core_->instance(id);
}
std::vector<CardView> Planner::cards() const {
  return core_->cards();
}
std::vector<AccountView> Planner::accounts() const {
  return core_->accounts();
}
std::vector<FunctionView> Planner::activeFunctions() const {
  return core_->activeFunctions();
}
std::optional<FunctionView> Planner::function(FunctionKey key) const {
  return core_->function(key);
}
std::size_t Planner::functionCount() const {
  return core_->functionCount();
}

Planner::Core::Core(PlannerConfig config) : config_(config) {}

// Deadlines come before the event, so that nothing is served after its deadline; idle timers after
// it, so that a request that comes just then still finds its warm instance.
void Planner::Core::step(Instant now, const Event& event, std::vector<Command>& commands) {
  OKIBI_CHECK(now >= now_, "time went back by {} ns", (now_ - now).count());
  now_ = now;
  commands_ = &commands;
  FunctionKey left;
  if (auto* cancelled = std::get_if<InvocationCancelled>(&event)) {
    left = leaveQueue(cancelled->invocation);
  }
  expireDue();
  std::visit([this](const auto& e) { on(e); }, event);
  settleExpired();
  if (Function* function = findFunction(left)) settle(*function);
  pump();
  if (const Request* request = findRequest(std::exchange(newcomer_, {}))) {
    refuseIfHopeless(*request->function, request->id);
    pump();
  }
  runTimers();
  pump();
  // Last, when it is known who waits.
  if (Function* function = findFunction(std::exchange(burst_, {}))) {
    meetBurst(*function);
    pump();
  }
  dropSleepers();
  armWake();
  commands_ = nullptr;
}

Function* Planner::Core::findFunction(FunctionKey key) {
  auto found = functions_.find(key);
  return found == functions_.end() ? nullptr : &found->second;
}

Instance* Planner::Core::findInstance(InstanceId id) {
  auto found = instances_.find(id);
  return found == instances_.end() ? nullptr : &found->second;
}

Request* Planner::Core::findRequest(InvocationId id) {
  auto found = requests_.find(id);
  return found == requests_.end() ? nullptr : &found->second;
}

void Planner::Core::runTimers() {
  while (auto due = timers_.takeDue(now_)) {
    if (due->kind == TimerKind::Idle) {
      onIdleTimer(instances_.at(InstanceId(due->id)));
    } else if (due->kind == TimerKind::StartAhead) {
      onStartAhead(functions_.at(FunctionKey(due->id)));
    } else if (due->kind == TimerKind::Ghost) {
      onGhostTimer(functions_.at(FunctionKey(due->id)));
    } else if (due->kind == TimerKind::Ripe) {
      onRipe(functions_.at(FunctionKey(due->id)));
    } else if (due->kind == TimerKind::Starts) {
      onStartsTimer(*accountsById_.at(due->id - 1));
    } else if (due->kind == TimerKind::Minimum) {
      onMinimumTimer(FunctionKey(due->id));
    } else {
      onYield(functions_.at(FunctionKey(due->id)));
    }
    pump();
  }
}

void Planner::Core::dropSleepers() {
  for (FunctionKey key : maybeAsleep_) {
    Function* function = findFunction(key);
    if (!function || (function->pool && !function->pool->empty())) continue;
    if (function->pool) {
      stopWaiting(*function);
      disarmRipe(*function);
    }
    function->pool.reset();
    if (!function->retired) continue;
    function->group->members.erase(key);
    // A cap outlives the revisions it counts.
    if (function->group->members.empty() && !function->group->most) {
      groups_.erase({function->account->name, function->name});
    }
    if (Shelf* shelf = function->shelf; shelf && --shelf->sizes[function->slice] == 0) {
      shelf->sizes.erase(function->slice);
    }
    functions_.erase(key);
  }
  maybeAsleep_.clear();
}

// One timer, set early rather than often: it is moved only when something is due sooner.
void Planner::Core::armWake() {
  if (wake_ && *wake_ <= now_) wake_.reset();
  std::optional<Instant> next;
  if (!deadlines_.empty()) next = deadlines_.earliest().time;
  if (!timers_.empty()) {
    next = next ? std::min(*next, timers_.earliest().time) : timers_.earliest().time;
  }
  if (!next || (wake_ && *wake_ <= *next)) return;
  wake_ = next;
  emit(WakeAt{*next});
}

}  // namespace okibi::planner
