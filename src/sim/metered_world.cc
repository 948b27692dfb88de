#include "sim/metered_world.h"

#include <utility>
#include <variant>

namespace okibi::sim {
namespace {

using namespace planner;
using ledger::UseKind;

std::string nameOf(InstanceId id) {
  return fmt::format("c-{}", id.value());
}

}  // namespace

void MeteredWorld::step(Instant now, const Event& event, const std::vector<Command>& commands) {
  now_ = now;
  std::visit([this](const auto& e) { hear(e); }, event);
  for (const Command& command : commands) {
    std::visit([this](const auto& c) { see(c); }, command);
  }
}

void MeteredWorld::expectRest() {
  law_.expectRest();
}

ledger::Moment MeteredWorld::moment() const {
  return {now_,
          WallTime() + std::chrono::floor<std::chrono::milliseconds>(now_.time_since_epoch())};
}

void MeteredWorld::see(const StartInstance& command) {
  Instance& instance = instances_[command.instance];
  if (command.slice) instance.slice = command.slice->memory;
}

// Its initializer runs.
void MeteredWorld::hear(const InstanceStarted& event) {
  const auto found = instances_.find(event.instance);
  if (found == instances_.end() || found->second.open) return;
  open(found->first, found->second);
  beginHook(found->first, found->second);
}

void MeteredWorld::hear(const InstanceReady& event) {
  const auto found = instances_.find(event.instance);
  if (found == instances_.end()) return;
  if (!found->second.open) open(found->first, found->second);
  endHooks(found->first, found->second);
}

void MeteredWorld::hear(const InstanceGone& event) {
  const auto found = instances_.find(event.instance);
  if (found == instances_.end()) return;
  close(found->first, found->second);
  instances_.erase(found);
}

void MeteredWorld::hear(const RuntimeLost&) {
  for (auto& [id, instance] : std::exchange(instances_, {})) close(id, instance);
}

void MeteredWorld::see(const Dispatch& command) {
  const std::string name = nameOf(command.instance);
  law_.began(name, UseKind::Request, now_);
  requests_[command.invocation] = {command.instance,
                                   meter_.begin(name, UseKind::Request, moment())};
}

void MeteredWorld::see(const StopInstance& command) {
  Instance& instance = instances_[command.instance];
  if (instance.open && command.preStop == PreStop::Run) beginHook(command.instance, instance);
}

void MeteredWorld::open(InstanceId id, Instance& instance) {
  ledger::InstanceTerms terms;
  terms.instance = nameOf(id);
  terms.memory = Bytes::gib(1);
  terms.cpu = MilliCpu{500};
  if (instance.slice) {
    terms.gpuType = "T";
    terms.gpuMemory = *instance.slice;
  }
  ledger::Records records;
  meter_.openInstance(std::move(terms), moment(), records);
  instance.open = true;
}

void MeteredWorld::beginHook(InstanceId id, Instance& instance) {
  law_.began(nameOf(id), UseKind::Hook, now_);
  instance.hooks.push_back(meter_.begin(nameOf(id), UseKind::Hook, moment()));
}

void MeteredWorld::endHooks(InstanceId id, Instance& instance) {
  for (const ledger::UseId use : std::exchange(instance.hooks, {})) {
    ledger::Records records;
    const Duration share = meter_.endHook(use, moment(), records);
    law_.ended(nameOf(id), UseKind::Hook, share, records, now_);
  }
}

// Its requests are told of after it (Abort).
void MeteredWorld::close(InstanceId id, Instance& instance) {
  if (!instance.open) return;
  ledger::Records records;
  meter_.closeInstance(nameOf(id), "gone", moment(), records);
  law_.closed(nameOf(id), records, now_);
  endHooks(id, instance);
}

void MeteredWorld::end(InvocationId id) {
  const auto found = requests_.find(id);
  if (found == requests_.end()) return;  // it never reached an instance, or was aborted
  const Request request = found->second;
  requests_.erase(found);
  ledger::Records records;
  meter_.endRequest(request.use, {}, moment(), records);
  const auto& record = std::get<ledger::InvocationRecord>(records.front());
  law_.ended(nameOf(request.instance), UseKind::Request, record.share, records, now_);
}

}  // namespace okibi::sim
