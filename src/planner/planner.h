#pragma once
// The planner decides: which instance serves a request, when one is started, where its slice lies,
// when it is frozen and released, what is refused. It is a function of (state, time, event): no
// clock, no I/O, no threads, no randomness, no logging, no iteration over unordered containers in
// decisions. The daemon drives it with real events, the simulator with a trace: the same object.
//
// Cost of a step: grows with what the event touches (a request, an instance, a function's starting
// instances), never with the number of functions; logarithmically with cards and timers.
//
// Fairness. A function's requests are served in order of arrival. Of those that wait for the same
// kind of card, or for the same quota, the account that holds least for its weight is served first,
// and of it the function that does, but nobody is passed over forever (planner/waiting_line.h); a
// smaller slice may go first only when the other fits nowhere. Idle
// instances make room, longest idle first; after PlannerConfig::yieldAfter busy ones are drained,
// so that a function with endless traffic cannot keep another out.
//
// Loop thread only.

#include <memory>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "base/units.h"
#include "planner/command.h"
#include "planner/event.h"
#include "planner/plan.h"
#include "planner/view.h"

namespace okibi::planner {

class Planner {
 public:
  explicit Planner(PlannerConfig config = {});
  ~Planner();
  Planner(const Planner&) = delete;
  Planner& operator=(const Planner&) = delete;

  // Takes one step: appends what must now be done. Never blocks, never fails.
  // REQUIRES: now does not go back.
  void step(Instant now, const Event& event, std::vector<Command>& commands);

  // Aborts with values printed if any law of the state is broken. Linear in the state: for tests
  // and simulation, after every step.
  void checkInvariants() const;

  // No request is queued or dispatched and no instance exists.
  bool atRest() const;

  // Views are copies; linear in what they list.
  std::vector<InstanceView> instances() const;
  std::optional<InstanceView> instance(InstanceId id) const;
  std::vector<CardView> cards() const;
  std::vector<AccountView> accounts() const;
  // Functions that have a queue or instances. `function` answers for any known key.
  std::vector<FunctionView> activeFunctions() const;
  std::optional<FunctionView> function(FunctionKey key) const;
  std::size_t functionCount() const;

 private:
  class Core;
  std::unique_ptr<Core> core_;
};

}  // namespace okibi::planner
