#include "conductor/acts.h"

#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/random.h"
#include "conductor/clock.h"
#include "conductor/start_plan.h"

namespace okibi::conductor {

void Conductor::Acts::operator()(planner::Dispatch command) const {
  const auto found = c.invocations_.find(command.invocation);
  OKIBI_CHECK(found != c.invocations_.end(), "dispatch of unknown invocation {}",
              command.invocation.value());
  Invocation& invocation = *found->second;
  const std::shared_ptr<Instance> instance = c.instances_.at(command.instance);
  invocation.stage = InvocationStage::Dispatched;
  invocation.instance = instance;
  invocation.revision = instance->revision;
  invocation.dispatched = momentNow(c.loop_);
  invocation.warmth = command.warmth;
  invocation.reason = std::move(command.reason);
  if (command.warmth == planner::Warmth::Cold && !instance->whyCard.empty()) {
    invocation.reason += "; " + instance->whyCard;
  }
  invocation.outputMark = instance->output.mark();
  if (command.warmth == planner::Warmth::Cold) {
    invocation.phases =
        phasesWithin(instance->times, invocation.received.at, invocation.dispatched.at);
    invocation.concurrentStarts = instance->startsAtOnce;
  }
  if (!std::exchange(instance->served, true)) {
    invocation.startTook = instance->times.ready - instance->times.ordered;
    invocation.startInit = instance->times.ready - instance->times.listening;
  }
  ++instance->inFlight;
  invocation.use =
      c.accounting_.begin(instance->name, ledger::UseKind::Request, invocation.dispatched);
  invocation.admitted.set({});
}

void Conductor::Acts::operator()(planner::Refuse command) const {
  const auto kept = c.invocations_.extract(command.invocation);
  OKIBI_CHECK(!kept.empty(), "refusal of unknown invocation {}", command.invocation.value());
  Invocation& invocation = *kept.mapped();
  invocation.stage = InvocationStage::Over;
  invocation.reason = command.error.message;
  invocation.retryAfter = command.retryAfter;
  invocation.admitted.set(fail(std::move(command.error)));
}

void Conductor::Acts::operator()(planner::Abort command) const {
  const auto kept = c.invocations_.extract(command.invocation);
  OKIBI_CHECK(!kept.empty(), "abort of unknown invocation {}", command.invocation.value());
  Invocation& invocation = *kept.mapped();
  invocation.stage = InvocationStage::Over;
  --invocation.instance->inFlight;
  invocation.lost.set(std::move(command.error));
}

void Conductor::Acts::operator()(planner::StartInstance command) const {
  auto instance = std::make_shared<Instance>();
  instance->id = command.instance;
  instance->name = makeInstanceName(systemRandomBits(), systemRandomBits());
  instance->revision = c.revisions_.at(command.function);
  instance->slice = command.slice;
  instance->startReason = std::move(command.reason);
  instance->whyCard = std::move(command.whyCard);
  instance->ahead = command.ahead;
  instance->times.ordered = c.loop_.now();
  instance->created = wallNow();
  c.instances_.emplace(instance->id, instance);
  c.noteStartsAtOnce(instance->revision->key);
  c.loop_.spawn(c.startInstance(instance));
}

void Conductor::Acts::operator()(planner::StopInstance command) const {
  const auto found = c.instances_.find(command.instance);
  if (found == c.instances_.end()) return;
  c.loop_.spawn(c.stopInstance(found->second, std::move(command)));
}

void Conductor::Acts::operator()(planner::EndSessions command) const {
  c.loop_.spawn(c.endSessionsLater(command.instance));
}

void Conductor::Acts::operator()(planner::Freeze command) const {
  if (const auto found = c.instances_.find(command.instance); found != c.instances_.end()) {
    found->second->cpu = Instance::Cpu::Stopped;
  }
  if (auto frozen = c.runtime_.freeze(command.instance); !frozen) {
    log::warning("freeze failed", "error=\"{}\"", frozen.error().message);
  }
}

void Conductor::Acts::operator()(planner::Thaw command) const {
  if (const auto found = c.instances_.find(command.instance); found != c.instances_.end()) {
    found->second->cpu = Instance::Cpu::Running;
  }
  auto thawed = c.runtime_.thaw(command.instance);
  if (thawed) return;
  log::error("thaw failed", "error=\"{}\"", thawed.error().message);
  // Killed at once; its end comes back as onExit.
  c.loop_.spawn(c.runtime_.stop(command.instance, Duration::zero()));
}

// No runtime gives device memory back yet, so the planner has no host memory to park in; should it
// ask, it hears that it cannot be done.
void Conductor::Acts::operator()(planner::Park command) const {
  c.step(planner::InstanceParkFailed{
      command.instance, {ErrorKind::Unavailable, "this runtime does not park instances", {}}});
}

void Conductor::Acts::operator()(planner::Wake command) const {
  c.step(planner::InstanceGone{
      command.instance, {ErrorKind::Unavailable, "this runtime does not wake instances", {}}});
}

void Conductor::Acts::operator()(planner::WakeAt command) const {
  c.timer_.schedule(command.time, [conductor = &c] { conductor->step(planner::TimerFired{}); });
}

}  // namespace okibi::conductor
