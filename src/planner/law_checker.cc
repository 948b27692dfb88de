#include "planner/law_checker.h"

#include <algorithm>
#include <iterator>

namespace okibi::planner {

template <typename... Args>
void LawChecker::broken(int law, fmt::format_string<Args...> format, Args&&... args) {
  violations_.push_back(
      fmt::format("law {}: {}", law, fmt::format(format, std::forward<Args>(args)...)));
}

void LawChecker::observe(Instant now, const Event& event, const std::vector<Command>& commands,
                         const std::vector<InstanceView>& views,
                         const std::vector<FunctionView>& functions) {
  now_ = now;
  fresh_ = {};
  std::visit([this](const auto& e) { hear(e); }, event);
  for (const InstanceView& view : views) {
    auto found = instances_.find(view.id);
    if (found == instances_.end()) continue;
    found->second.willDrain = view.state == InstanceState::Draining;
    found->second.recalled = view.state == InstanceState::Recalled;
  }
  for (const Command& command : commands) {
    std::visit([this](const auto& c) { see(c); }, command);
  }
  for (auto& [id, instance] : instances_) instance.draining = false;
  for (const InstanceView& view : views) {
    auto found = instances_.find(view.id);
    if (found == instances_.end()) continue;
    found->second.draining = view.state == InstanceState::Draining;
    if (view.inFlight != found->second.inFlight) {
      broken(2, "instance {} shows {} in flight, has {}", view.id.value(), view.inFlight,
             found->second.inFlight);
    }
    checkSessions(view);
  }
  checkQueues();
  for (const FunctionView& view : functions) checkLineWait(view, views);
  countTurns(commands);
  checkTurns(views, functions);
}

void LawChecker::expectRest() {
  for (const auto& [id, request] : requests_) {
    if (request.place != Place::Answered) broken(9, "invocation {} never ended", id.value());
  }
  for (const auto& [id, instance] : instances_) broken(9, "instance {} is left", id.value());
}

void LawChecker::hear(const FunctionAdded& event) {
  functions_[event.plan.key].plan = event.plan;
  if (!event.replaces) return;
  auto old = functions_.find(*event.replaces);
  if (old == functions_.end()) return;
  for (const auto& [id, waiting] : old->second.queued) {
    functions_[event.plan.key].queued.emplace(id, waiting);
    requests_[id].function = event.plan.key;
  }
  old->second.queued.clear();
}

void LawChecker::hear(const FunctionRetired& event) {
  functions_[event.key].minimum = 0;
}

void LawChecker::hear(const MinimumChanged& event) {
  functions_[event.function].minimum = event.minimum;
}

void LawChecker::hear(const CapChanged& event) {
  caps_[{event.account, event.name}] = event.most;
}

// Instances of a function that are not on their way out.
int LawChecker::staying(FunctionKey function) const {
  int count = 0;
  for (const auto& [id, instance] : instances_) {
    const bool going = instance.phase == Phase::Stopping || instance.draining || instance.willDrain;
    if (instance.function == function && !going) ++count;
  }
  return count;
}

void LawChecker::checkCap(const FunctionPlan& plan) {
  const auto cap = caps_.find({plan.account, plan.name});
  if (cap == caps_.end() || !cap->second) return;
  int alive = 0;
  for (const auto& [id, instance] : instances_) {
    const FunctionPlan& other = functions_[instance.function].plan;
    if (other.account == plan.account && other.name == plan.name) ++alive;
  }
  if (alive >= *cap->second) broken(5, "function {}: {} instances already", plan.name, alive);
}

void LawChecker::hear(const InvocationArrived& event) {
  requests_[event.invocation] = {event.function, Place::Queued, {}, event.deadline};
  functions_[event.function].queued.emplace(event.invocation,
                                            Function::Waiting{event.deadline, now_});
}

void LawChecker::leaveSlot(Request& request) {
  if (request.place == Place::Dispatched) --instances_[request.instance].inFlight;
}

void LawChecker::answer(InvocationId id, Request& request) {
  leaveSlot(request);
  functions_[request.function].queued.erase(id);
  request.place = Place::Answered;
}

LawChecker::Request* LawChecker::request(InvocationId id) {
  auto found = requests_.find(id);
  return found == requests_.end() ? nullptr : &found->second;
}

void LawChecker::hear(const InvocationEnded& event) {
  Request* r = request(event.invocation);
  if (r && r->place == Place::Dispatched) answer(event.invocation, *r);
}

void LawChecker::hear(const InvocationCancelled& event) {
  Request* r = request(event.invocation);
  if (r && r->place != Place::Answered) answer(event.invocation, *r);
}

void LawChecker::hear(const InstanceReady& event) {
  auto found = instances_.find(event.instance);
  if (found == instances_.end() || found->second.phase != Phase::Starting) return;
  functions_[found->second.function].failures = 0;
  becameReady(found->second);
}

void LawChecker::becameReady(Instance& instance) {
  instance.phase = Phase::Ready;
  fresh_ = instance.function;
  Function& function = functions_[fresh_];
  --function.starting;
  function.longestStart = std::max(function.longestStart, now_ - instance.since);
}

void LawChecker::hear(const InstanceStartFailed& event) {
  auto found = instances_.find(event.instance);
  if (found != instances_.end()) noteFailure(found->second);
}

void LawChecker::noteFailure(const Instance& instance) {
  if (instance.phase == Phase::Starting) ++functions_[instance.function].failures;
}

void LawChecker::hear(const QuotaChanged& event) {
  if (event.burst > 0) starts_[event.account] = {event.burst, event.growth, {}};
}

void LawChecker::remove(InstanceId id) {
  auto found = instances_.find(id);
  if (found == instances_.end()) return;
  if (comes(found->second.phase)) --functions_[found->second.function].starting;
  instances_.erase(found);
}

void LawChecker::hear(const InstanceParked& event) {
  auto found = instances_.find(event.instance);
  if (found == instances_.end() || found->second.phase != Phase::Parking) return;
  found->second.phase = Phase::Parked;
  found->second.slice.reset();
}

void LawChecker::hear(const InstanceWoken& event) {
  auto found = instances_.find(event.instance);
  if (found == instances_.end() || found->second.phase != Phase::Waking) return;
  found->second.hostMemory = Bytes();
  becameReady(found->second);
}

void LawChecker::hear(const InstanceGone& event) {
  auto found = instances_.find(event.instance);
  if (found != instances_.end()) noteFailure(found->second);
  remove(event.instance);
}

void LawChecker::hear(const InstanceHealthChanged& event) {
  auto found = instances_.find(event.instance);
  const bool serving = found != instances_.end() && (found->second.phase == Phase::Ready ||
                                                     found->second.phase == Phase::Frozen);
  if (serving) found->second.health = event.health;
}

void LawChecker::hear(const SessionOpened& event) {
  auto found = instances_.find(event.instance);
  const bool serving =
      found != instances_.end() && !found->second.draining &&
      (found->second.phase == Phase::Ready || found->second.phase == Phase::Frozen);
  if (serving) ++found->second.sessions;
}

void LawChecker::hear(const SessionClosed& event) {
  auto found = instances_.find(event.instance);
  if (found != instances_.end() && found->second.sessions > 0) --found->second.sessions;
}

void LawChecker::checkSessions(const InstanceView& view) {
  const Instance& instance = instances_.at(view.id);
  if (view.sessions != instance.sessions) {
    broken(2, "instance {} shows {} sessions, has {}", view.id.value(), view.sessions,
           instance.sessions);
  }
  if (instance.sessions > 0 && instance.phase == Phase::Frozen) {
    broken(3, "instance {} is frozen with {} sessions", view.id.value(), instance.sessions);
  }
  if (instance.sessions > 0 && instance.draining && !instance.sessionsEnding) {
    broken(9, "instance {} drains, but its sessions may stay", view.id.value());
  }
}

void LawChecker::hear(const CardAdded& event) {
  cards_[event.card.id] = event.card.memory;
}

void LawChecker::hear(const RuntimeLost&) {
  while (!instances_.empty()) remove(instances_.begin()->first);
}

void LawChecker::see(const Dispatch& command) {
  Request* r = request(command.invocation);
  if (!r || r->place != Place::Queued) {
    return broken(2, "invocation {} dispatched, not queued", command.invocation.value());
  }
  // What waited for a start or a wake may go anywhere when that is done.
  if (r->deadline < now_ && functions_[r->function].starting == 0 && r->function != fresh_ &&
      command.warmth != Warmth::Cold && command.warmth != Warmth::Woken) {
    broken(2, "invocation {} served after its deadline", command.invocation.value());
  }
  auto found = instances_.find(command.instance);
  if (found == instances_.end()) {
    return broken(2, "invocation {} dispatched to nothing", command.invocation.value());
  }
  Instance& instance = found->second;
  if (instance.phase != Phase::Ready || instance.draining) {
    broken(3, "invocation {} to instance {} that is not ready", command.invocation.value(),
           command.instance.value());
  }
  if (instance.health == Health::Unhealthy) {
    broken(3, "invocation {} to unhealthy instance {}", command.invocation.value(),
           command.instance.value());
  }
  if (instance.function != r->function) {
    broken(2, "invocation {} to another function", command.invocation.value());
  }
  const Function& function = functions_[r->function];
  if (++instance.inFlight > function.plan.concurrency) {
    broken(3, "instance {} serves {}", command.instance.value(), instance.inFlight);
  }
  if (config_.cardTurns > 0 && instance.slice && instance.inFlight == 1 && r->deadline >= now_ &&
      computing(instance.slice->card) > config_.cardTurns) {
    broken(1, "card {} computes for {} instances", instance.slice->card.value(),
           computing(instance.slice->card));
  }
  functions_[r->function].queued.erase(command.invocation);
  r->place = Place::Dispatched;
  r->instance = command.instance;
}

void LawChecker::see(const Refuse& command) {
  Request* r = request(command.invocation);
  if (!r || r->place != Place::Queued) {
    return broken(2, "invocation {} refused, not queued", command.invocation.value());
  }
  if (command.error.message.empty()) {
    broken(5, "invocation {} refused without a reason", command.invocation.value());
  }
  answer(command.invocation, *r);
}

void LawChecker::see(const Abort& command) {
  Request* r = request(command.invocation);
  if (!r || r->place != Place::Dispatched) {
    return broken(2, "invocation {} aborted, not dispatched", command.invocation.value());
  }
  if (instances_.contains(command.instance)) {
    broken(8, "invocation {} aborted though instance {} lives", command.invocation.value(),
           command.instance.value());
    --instances_[command.instance].inFlight;
  }
  r->place = Place::Answered;
}

void LawChecker::see(const StartInstance& command) {
  checkStart(command);
  Function& function = functions_[command.function];
  instances_[command.instance].function = command.function;
  instances_[command.instance].slice = command.slice;
  instances_[command.instance].since = now_;
  ++function.starting;
  checkCards();
  checkQuota(function.plan.account);
  checkGrowth(function.plan.account);
}

void LawChecker::checkStart(const StartInstance& command) {
  const Function& function = functions_[command.function];
  if (instances_.contains(command.instance)) {
    broken(2, "instance {} started twice", command.instance.value());
  }
  checkCap(function.plan);
  // What is missing of the minimum is started whatever the queue.
  if (staying(command.function) < function.minimum) return checkSlice(function, command);
  const auto coming = static_cast<std::size_t>(function.starting * function.plan.concurrency);
  if (function.queued.size() <= coming && !command.ahead) {
    broken(4, "instance {} started for nobody", command.instance.value());
  }
  for (const auto& [id, instance] : instances_) {
    if (instance.function != command.function) continue;
    if (hasRoom(instance) && !instance.willDrain) {
      broken(4, "instance {} started while {} has room", command.instance.value(), id.value());
    }
    if (instance.phase == Phase::Parked && !instance.recalled) {
      broken(4, "instance {} started while {} is parked", command.instance.value(), id.value());
    }
  }
  checkSlice(function, command);
}

void LawChecker::checkSlice(const Function& function, const StartInstance& command) {
  if (function.plan.gpu.has_value() != command.slice.has_value() ||
      (command.slice && command.slice->memory != function.plan.gpu->memory)) {
    broken(1, "instance {} has the wrong slice", command.instance.value());
  }
}

void LawChecker::checkCards() {
  std::map<CardId, Bytes> used;
  for (const auto& [id, instance] : instances_) {
    if (instance.slice) used[instance.slice->card] += instance.slice->memory;
  }
  for (const auto& [card, bytes] : used) {
    if (bytes > cards_[card]) {
      broken(1, "card {}: {} of {} GB", card.value(), bytes.wholeGib(), cards_[card].wholeGib());
    }
  }
}

void LawChecker::checkQuota(const std::string& account) {
  int all = 0, gpu = 0;
  for (const auto& [id, instance] : instances_) {
    if (functions_[instance.function].plan.account != account) continue;
    ++all;
    gpu += instance.slice ? 1 : 0;
  }
  if (gpu > config_.cardQuota) broken(5, "account {}: {} GPU instances", account, gpu);
  if (all > config_.instanceQuota) broken(5, "account {}: {} instances", account, all);
}

// In no stretch of time are more instances started than the burst and what has grown since its
// beginning.
void LawChecker::checkGrowth(const std::string& account) {
  Starts& starts = starts_[account];
  const std::int64_t burst = starts.burst > 0 ? starts.burst : config_.startBurst;
  const std::int64_t growth = starts.burst > 0 ? starts.growth : config_.startGrowth;
  if (burst == 0) return;
  starts.times.push_back(now_);
  const auto count = static_cast<std::int64_t>(starts.times.size());
  for (std::int64_t i = 0; i < count; ++i) {
    const Duration passed = now_ - starts.times[static_cast<std::size_t>(i)];
    constexpr std::int64_t kMinute = Duration(std::chrono::minutes(1)).count();
    if (count - i <= burst + passed.count() * growth / kMinute) continue;
    return broken(5, "account {}: {} instances started in {} ms", account, count - i,
                  passed / std::chrono::milliseconds(1));
  }
}

// Nobody waits in line for longer than twice what a start has ever taken, unless what an instance
// needs is short.
void LawChecker::checkLineWait(const FunctionView& view,
                               const std::vector<InstanceView>& instances) {
  const Function& function = functions_[view.key];
  const bool capped = caps_.contains({function.plan.account, function.plan.name}) &&
                      caps_[{function.plan.account, function.plan.name}].has_value();
  const bool turns = config_.cardTurns > 0 && function.plan.gpu;
  if (view.inLine || capped || turns || function.plan.demand == FunctionPlan::Demand::KeptOnly) {
    return;
  }
  int coming = function.starting;
  bool parked = false;
  for (const InstanceView& i : instances) {
    parked |= i.function == view.key && i.state == InstanceState::Parked;
    const bool promised = i.state == InstanceState::Placing || i.state == InstanceState::Recalled ||
                          i.state == InstanceState::Parking;
    coming += i.function == view.key && promised ? 1 : 0;
  }
  // One start at a time is tried; who is parked is woken all the same.
  if (function.failures >= config_.startFailuresInRow && coming > 0 && !parked) return;
  const auto covered = static_cast<std::size_t>(coming * function.plan.concurrency);
  if (function.queued.size() <= covered) return;
  const auto oldest = std::next(function.queued.begin(), static_cast<std::ptrdiff_t>(covered));
  const Duration limit = config_.scaleOut == ScaleOut::PerRequest
                             ? Duration::zero()
                             : 2 * function.longestStart / 100 * (100 + config_.waitMarginPercent);
  if (now_ - oldest->second.arrived <= limit) return;
  broken(4, "function {}: a request has waited {} ms and no instance comes", view.key.value(),
         (now_ - oldest->second.arrived) / std::chrono::milliseconds(1));
}

// A card was given to the function: to whom it might have gone instead?
void LawChecker::passOver(FunctionKey served) {
  const std::optional<GpuConfig>& given = functions_[served].plan.gpu;
  if (!given) return;
  for (auto& [key, waiter] : waiters_) {
    const GpuConfig& asked = *functions_[key].plan.gpu;
    if (key == served) {
      waiter.passed = 0;
    } else if (asked.type == given->type && asked.memory <= given->memory) {
      ++waiter.passed;
    }
  }
}

void LawChecker::countTurns(const std::vector<Command>& commands) {
  for (const Command& command : commands) {
    if (const auto* start = std::get_if<StartInstance>(&command)) {
      passOver(start->function);
    } else if (const auto* wake = std::get_if<Wake>(&command)) {
      passOver(instances_[wake->instance].function);
    }
  }
}

// No function that waits for cards is passed over for more than eight turns for each that waits.
void LawChecker::checkTurns(const std::vector<InstanceView>& instances,
                            const std::vector<FunctionView>& functions) {
  std::map<FunctionKey, Waiter> now;
  const int promised = static_cast<int>(std::ranges::count_if(instances, [](const auto& i) {
    return i.state == InstanceState::Placing || i.state == InstanceState::Recalled;
  }));
  for (const FunctionView& view : functions) {
    if (!view.forCards || !functions_[view.key].plan.gpu) continue;
    const auto known = waiters_.find(view.key);
    now[view.key] = known != waiters_.end() ? known->second : Waiter{0, 0, promised};
  }
  for (const InstanceView& i : instances) {
    const bool served = i.state == InstanceState::Placing || i.state == InstanceState::Recalled;
    if (served && now.contains(i.function)) now[i.function].passed = 0;
  }
  for (auto& [key, waiter] : now) {
    waiter.most = std::max(waiter.most, static_cast<int>(now.size()));
    const int bound = (kTurnsEach + 1) * waiter.most + waiter.promised;
    if (waiter.passed <= bound) continue;
    broken(10, "function {}: passed over {} times while {} waited", key.value(), waiter.passed,
           waiter.most);
  }
  waiters_ = std::move(now);
}

void LawChecker::see(const StopInstance& command) {
  auto found = instances_.find(command.instance);
  if (found == instances_.end() || found->second.phase == Phase::Stopping) {
    return broken(3, "instance {} stopped twice or unknown", command.instance.value());
  }
  if (found->second.inFlight > 0 || found->second.sessions > 0 ||
      found->second.phase == Phase::Frozen) {
    broken(3, "instance {} stopped frozen or with {} in flight, {} sessions",
           command.instance.value(), found->second.inFlight, found->second.sessions);
  }
  if (comes(found->second.phase)) --functions_[found->second.function].starting;
  found->second.phase = Phase::Stopping;
}

void LawChecker::see(const Park& command) {
  auto found = instances_.find(command.instance);
  if (found == instances_.end() || found->second.phase != Phase::Ready ||
      found->second.inFlight > 0 || found->second.sessions > 0 || !found->second.slice) {
    return broken(3, "instance {} parked while in use or off its card", command.instance.value());
  }
  found->second.phase = Phase::Parking;
  found->second.hostMemory = found->second.slice->memory;
  checkHostMemory();
}

void LawChecker::see(const Wake& command) {
  auto found = instances_.find(command.instance);
  if (found == instances_.end() || found->second.phase != Phase::Parked) {
    return broken(3, "instance {} woken, not parked", command.instance.value());
  }
  Function& function = functions_[found->second.function];
  if (command.slice.memory != function.plan.gpu->memory) {
    broken(1, "instance {} has the wrong slice", command.instance.value());
  }
  const auto coming = static_cast<std::size_t>(function.starting * function.plan.concurrency);
  if (function.queued.size() <= coming) {
    broken(4, "instance {} woken for nobody", command.instance.value());
  }
  found->second.phase = Phase::Waking;
  found->second.since = now_;
  found->second.slice = command.slice;
  ++function.starting;
  checkCards();
  checkQuota(function.plan.account);
}

void LawChecker::checkHostMemory() {
  Bytes used;
  for (const auto& [id, instance] : instances_) used += instance.hostMemory;
  if (used > config_.hostMemory) {
    broken(1, "host memory: {} of {} GB", used.wholeGib(), config_.hostMemory.wholeGib());
  }
}

void LawChecker::see(const EndSessions& command) {
  auto found = instances_.find(command.instance);
  if (found == instances_.end() || found->second.sessions == 0 || !found->second.willDrain) {
    return broken(3, "instance {}: sessions ended without need", command.instance.value());
  }
  found->second.sessionsEnding = true;
}

void LawChecker::see(const Freeze& command) {
  auto found = instances_.find(command.instance);
  if (found == instances_.end() || found->second.phase != Phase::Ready ||
      found->second.inFlight > 0 || found->second.sessions > 0) {
    return broken(3, "instance {} frozen while in use", command.instance.value());
  }
  found->second.phase = Phase::Frozen;
}

void LawChecker::see(const Thaw& command) {
  auto found = instances_.find(command.instance);
  if (found == instances_.end() || found->second.phase != Phase::Frozen) {
    return broken(3, "instance {} thawed, not frozen", command.instance.value());
  }
  found->second.phase = Phase::Ready;
}

// Instances of the card that work on requests.
int LawChecker::computing(CardId card) const {
  int count = 0;
  for (const auto& [id, instance] : instances_) {
    count += instance.slice && instance.slice->card == card && instance.inFlight > 0 ? 1 : 0;
  }
  return count;
}

// Where cards have turns, an instance of a busy card may have to wait for them.
bool LawChecker::hasRoom(const Instance& instance) const {
  return (instance.phase == Phase::Ready || instance.phase == Phase::Frozen) &&
         !instance.draining && instance.health == Health::Healthy &&
         instance.inFlight < functions_.at(instance.function).plan.concurrency &&
         (config_.cardTurns == 0 || !instance.slice || computing(instance.slice->card) == 0);
}

void LawChecker::checkQueues() {
  for (const auto& [id, instance] : instances_) {
    if (hasRoom(instance) && !functions_[instance.function].queued.empty()) {
      broken(4, "instance {} has room while {} wait", id.value(),
             functions_[instance.function].queued.size());
    }
  }
  for (const auto& [key, function] : functions_) {
    int overdue = 0;
    for (const auto& [id, waiting] : function.queued) overdue += waiting.deadline < now_ ? 1 : 0;
    if (overdue > function.starting * function.plan.concurrency) {
      broken(2, "function {}: {} wait past their deadline", key.value(), overdue);
    }
  }
}

}  // namespace okibi::planner
