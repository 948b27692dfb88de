#pragma once
// Meters the requests and hooks of a simulated fleet as the conductor does, and holds the records
// against law 6. It hears what the planner hears and commands.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ledger/usage_law.h"
#include "ledger/usage_meter.h"
#include "planner/command.h"
#include "planner/event.h"

namespace okibi::sim {

class MeteredWorld {
 public:
  void step(Instant now, const planner::Event& event,
            const std::vector<planner::Command>& commands);
  // When all is over.
  void expectRest();
  const std::vector<std::string>& violations() const { return law_.violations(); }

 private:
  struct Instance {
    std::optional<Bytes> slice;
    bool open = false;
    std::vector<ledger::UseId> hooks;
  };
  struct Request {
    InstanceId instance;
    ledger::UseId use;
  };

  void hear(const planner::InstanceStarted& event);
  void hear(const planner::InstanceReady& event);
  void hear(const planner::InstanceGone& event);
  void hear(const planner::RuntimeLost& event);
  void hear(const planner::InvocationEnded& event) { end(event.invocation); }
  void hear(const planner::InvocationCancelled& event) { end(event.invocation); }
  template <typename Other>
  void hear(const Other&) {}

  void see(const planner::StartInstance& command);
  void see(const planner::Dispatch& command);
  void see(const planner::StopInstance& command);
  void see(const planner::Abort& command) { end(command.invocation); }
  template <typename Other>
  void see(const Other&) {}

  void open(InstanceId id, Instance& instance);
  void beginHook(InstanceId id, Instance& instance);
  void endHooks(InstanceId id, Instance& instance);
  void close(InstanceId id, Instance& instance);
  void end(InvocationId id);
  ledger::Moment moment() const;

  ledger::UsageMeter meter_;
  ledger::UsageLaw law_;
  Instant now_{};
  std::map<InstanceId, Instance> instances_;
  std::map<InvocationId, Request> requests_;  // those that an instance works on
};

}  // namespace okibi::sim
