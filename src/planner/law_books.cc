#include "planner/law_books.h"

#include <algorithm>

namespace okibi::planner {
namespace {

bool comes(LawBooks::Phase phase) {
  return phase == LawBooks::Phase::Starting || phase == LawBooks::Phase::Waking;
}

bool serves(const LawBooks::Instance& instance) {
  return instance.phase == LawBooks::Phase::Ready || instance.phase == LawBooks::Phase::Frozen;
}

}  // namespace

void LawBooks::begin(Instant time, const Event& event, const std::vector<InstanceView>& views) {
  now = time;
  fresh = {};
  std::visit([this](const auto& e) { hear(e); }, event);
  for (const InstanceView& view : views) {
    auto found = instances.find(view.id);
    if (found == instances.end()) continue;
    found->second.willDrain = view.state == InstanceState::Draining;
    found->second.recalled = view.state == InstanceState::Recalled;
  }
}

void LawBooks::see(const Command& command) {
  std::visit([this](const auto& c) { apply(c); }, command);
}

void LawBooks::end(const std::vector<InstanceView>& views) {
  for (auto& [id, instance] : instances) instance.draining = false;
  for (const InstanceView& view : views) {
    auto found = instances.find(view.id);
    if (found != instances.end()) found->second.draining = view.state == InstanceState::Draining;
  }
}

const LawBooks::Request* LawBooks::request(InvocationId id) const {
  auto found = requests.find(id);
  return found == requests.end() ? nullptr : &found->second;
}

const LawBooks::Instance* LawBooks::instance(InstanceId id) const {
  auto found = instances.find(id);
  return found == instances.end() ? nullptr : &found->second;
}

bool LawBooks::accepts(const Dispatch& command) const {
  const Request* r = request(command.invocation);
  return r && r->place == Place::Queued && instance(command.instance);
}

bool LawBooks::isCapped(const FunctionPlan& plan) const {
  const auto found = caps.find({plan.account, plan.name});
  return found != caps.end() && found->second;
}

int LawBooks::staying(FunctionKey function) const {
  return static_cast<int>(std::ranges::count_if(instances, [&](const auto& entry) {
    const Instance& i = entry.second;
    return i.function == function && i.phase != Phase::Stopping && !i.draining && !i.willDrain;
  }));
}

int LawBooks::computing(CardId card) const {
  return static_cast<int>(std::ranges::count_if(instances, [&](const auto& entry) {
    const Instance& i = entry.second;
    return i.slice && i.slice->card == card && i.inFlight > 0;
  }));
}

bool LawBooks::hasRoom(const Instance& instance) const {
  return serves(instance) && !instance.draining && instance.health == Health::Healthy &&
         instance.inFlight < functionOf(instance).plan.concurrency &&
         (config.cardTurns == 0 || !instance.slice || computing(instance.slice->card) == 0);
}

// Events

void LawBooks::hear(const FunctionAdded& event) {
  Function& function = functions[event.plan.key];
  function.plan = event.plan;
  if (!event.replaces) return;
  auto old = functions.find(*event.replaces);
  if (old == functions.end()) return;
  for (const auto& [id, waiting] : old->second.queued) {
    function.queued.emplace(id, waiting);
    requests[id].function = event.plan.key;
  }
  old->second.queued.clear();
}

void LawBooks::hear(const FunctionRetired& event) {
  functions[event.key].minimum = 0;
}

void LawBooks::hear(const WeightChanged& event) {
  functions[event.function].plan.weight = event.weight;
}

void LawBooks::hear(const MinimumChanged& event) {
  functions[event.function].minimum = event.minimum;
}

void LawBooks::hear(const CapChanged& event) {
  caps[{event.account, event.name}] = event.most;
}

void LawBooks::hear(const QuotaChanged& event) {
  if (event.weight > 0) weights[event.account] = event.weight;
  if (event.burst > 0) starts[event.account] = {event.burst, event.growth, {}};
}

void LawBooks::hear(const InvocationArrived& event) {
  requests[event.invocation] = {event.function, Place::Queued, {}, event.deadline};
  functions[event.function].queued.emplace(event.invocation,
                                           Function::Waiting{event.deadline, now});
}

void LawBooks::answer(InvocationId id, Request& request) {
  if (request.place == Place::Dispatched) --instances[request.instance].inFlight;
  functions[request.function].queued.erase(id);
  request.place = Place::Answered;
}

void LawBooks::hear(const InvocationEnded& event) {
  auto found = requests.find(event.invocation);
  const bool runs = found != requests.end() && found->second.place == Place::Dispatched;
  if (runs) answer(found->first, found->second);
}

void LawBooks::hear(const InvocationCancelled& event) {
  auto found = requests.find(event.invocation);
  const bool lives = found != requests.end() && found->second.place != Place::Answered;
  if (lives) answer(found->first, found->second);
}

LawBooks::Instance* LawBooks::find(InstanceId id, Phase phase) {
  auto found = instances.find(id);
  return found == instances.end() || found->second.phase != phase ? nullptr : &found->second;
}

void LawBooks::becameReady(Instance& instance) {
  instance.phase = Phase::Ready;
  fresh = instance.function;
  Function& function = functions[fresh];
  --function.starting;
  function.longestStart = std::max(function.longestStart, now - instance.since);
}

void LawBooks::hear(const InstanceReady& event) {
  Instance* instance = find(event.instance, Phase::Starting);
  if (!instance) return;
  functions[instance->function].failures = 0;
  becameReady(*instance);
}

void LawBooks::noteFailure(const Instance& instance) {
  if (instance.phase == Phase::Starting) ++functions[instance.function].failures;
}

void LawBooks::hear(const InstanceStartFailed& event) {
  if (const Instance* i = instance(event.instance)) noteFailure(*i);
}

void LawBooks::remove(InstanceId id) {
  auto found = instances.find(id);
  if (found == instances.end()) return;
  if (comes(found->second.phase)) --functions[found->second.function].starting;
  instances.erase(found);
}

void LawBooks::hear(const InstanceGone& event) {
  if (const Instance* i = instance(event.instance)) noteFailure(*i);
  remove(event.instance);
}

void LawBooks::hear(const RuntimeLost&) {
  while (!instances.empty()) remove(instances.begin()->first);
}

void LawBooks::hear(const InstanceHealthChanged& event) {
  auto found = instances.find(event.instance);
  if (found != instances.end() && serves(found->second)) found->second.health = event.health;
}

void LawBooks::hear(const SessionOpened& event) {
  auto found = instances.find(event.instance);
  const bool serving = found != instances.end() && !found->second.draining && serves(found->second);
  if (serving) ++found->second.sessions;
}

void LawBooks::hear(const SessionClosed& event) {
  auto found = instances.find(event.instance);
  if (found != instances.end() && found->second.sessions > 0) --found->second.sessions;
}

void LawBooks::hear(const InstanceParked& event) {
  Instance* instance = find(event.instance, Phase::Parking);
  if (!instance) return;
  instance->phase = Phase::Parked;
  instance->slice.reset();
}

void LawBooks::hear(const InstanceWoken& event) {
  Instance* instance = find(event.instance, Phase::Waking);
  if (!instance) return;
  instance->hostMemory = Bytes();
  becameReady(*instance);
}

void LawBooks::hear(const CardAdded& event) {
  cards[event.card.id] = event.card.memory;
}

// Commands

void LawBooks::apply(const Dispatch& command) {
  if (!accepts(command)) return;
  Request& request = requests[command.invocation];
  ++instances[command.instance].inFlight;
  functions[request.function].queued.erase(command.invocation);
  request.place = Place::Dispatched;
  request.instance = command.instance;
}

void LawBooks::apply(const Refuse& command) {
  auto found = requests.find(command.invocation);
  const bool waits = found != requests.end() && found->second.place == Place::Queued;
  if (waits) answer(found->first, found->second);
}

void LawBooks::apply(const Abort& command) {
  auto found = requests.find(command.invocation);
  if (found == requests.end() || found->second.place != Place::Dispatched) return;
  auto still = instances.find(command.instance);
  if (still != instances.end()) --still->second.inFlight;
  found->second.place = Place::Answered;
}

void LawBooks::apply(const StartInstance& command) {
  Instance& instance = instances[command.instance];
  instance.function = command.function;
  instance.slice = command.slice;
  instance.since = now;
  Function& function = functions[command.function];
  ++function.starting;
  starts[function.plan.account].times.push_back(now);
}

void LawBooks::apply(const StopInstance& command) {
  auto found = instances.find(command.instance);
  if (found == instances.end()) return;
  if (comes(found->second.phase)) --functions[found->second.function].starting;
  found->second.phase = Phase::Stopping;
}

void LawBooks::apply(const EndSessions& command) {
  auto found = instances.find(command.instance);
  if (found != instances.end()) found->second.sessionsEnding = true;
}

void LawBooks::apply(const Freeze& command) {
  if (Instance* instance = find(command.instance, Phase::Ready)) instance->phase = Phase::Frozen;
}

void LawBooks::apply(const Thaw& command) {
  if (Instance* instance = find(command.instance, Phase::Frozen)) instance->phase = Phase::Ready;
}

void LawBooks::apply(const Park& command) {
  Instance* instance = find(command.instance, Phase::Ready);
  if (!instance || !instance->slice) return;
  instance->phase = Phase::Parking;
  instance->hostMemory = instance->slice->memory;
}

void LawBooks::apply(const Wake& command) {
  Instance* instance = find(command.instance, Phase::Parked);
  if (!instance) return;
  instance->phase = Phase::Waking;
  instance->since = now;
  instance->slice = command.slice;
  ++functions[instance->function].starting;
}

}  // namespace okibi::planner
