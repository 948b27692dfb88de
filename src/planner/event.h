#pragma once
// The world's news, as the planner hears it. Sent by the conductor (or a simulator), one per step.
//
// News may be late: an event about an invocation or instance the planner has already let go of is
// ignored. What the conductor owes in return:
//   - ids are never used twice; the planner numbers instances, the conductor everything else;
//   - for every StartInstance exactly one InstanceGone, when nothing of the instance is left
//     (process, slice, mounts), whatever happened before; RuntimeLost stands for all of them at
//     once;
//   - for every Dispatch exactly one InvocationEnded or InvocationCancelled, unless an Abort for it
//     came first;
//   - for every Park one InstanceParked or InstanceParkFailed, for every Wake one InstanceWoken,
//     unless the instance is stopped or gone before;
//   - starts end: InstanceReady, InstanceStartFailed or InstanceGone within the start limits.

#include <optional>
#include <string>
#include <variant>

#include "base/ids.h"
#include "base/result.h"
#include "base/units.h"
#include "model/gpu_spec.h"
#include "planner/instance_state.h"
#include "planner/plan.h"

namespace okibi::planner {

// A revision is deployed. With `replaces` it takes over: the queue of the replaced revision moves
// to it (in order of arrival, deadlines kept), the replaced revision is retired.
struct FunctionAdded {
  FunctionPlan plan;
  std::optional<FunctionKey> replaces;
};
// The function is deleted or closed: its queue is refused (with `refusal`, else NotFound), idle and
// starting instances are stopped, busy ones finish their requests first. The key is forgotten when
// the last instance is gone.
struct FunctionRetired {
  FunctionKey key;
  std::optional<Error> refusal = std::nullopt;
};

// Its part among the functions of its account changes; its instances stay, and if it waits it
// stands at once where the new weight puts it.
struct WeightChanged {
  FunctionKey function;
  int weight = 1;  // 1 or more
};

// How many instances a revision keeps, whatever its traffic; they serve first and are not stopped
// for being idle, nor to make room. 0: none.
struct MinimumChanged {
  FunctionKey function;
  int minimum = 0;
  enum class Rest { Running, Frozen } rest = Rest::Running;  // how they idle
};
// The most instances that all revisions of a function have together; nullopt: only quota bounds it.
struct CapChanged {
  std::string account, name;
  std::optional<int> most;
};
// What an account may hold. More than that already held is kept until it goes.
struct QuotaChanged {
  std::string account;
  int cards = 0, instances = 0;
  int burst = 0, growth = 0;  // instances started at once, and per minute after; 0: as before
  int weight = 0;             // among the accounts, when cards are short; 0: as before
};

// A request wants a slot of a function. `deadline` bounds its wait for capacity; a request whose
// instance is already starting waits for that start (which has limits of its own).
struct InvocationArrived {
  InvocationId invocation;
  FunctionKey function;
  Instant deadline;
};
enum class Outcome {
  Completed,       // answered; the slot is free
  TimedOut,        // function timeout; the app may still be working on it (AfterAbandon)
  InstanceBroken,  // the instance refused or broke the connection: it gets no more requests
};
// A dispatched request is over.
struct InvocationEnded {
  InvocationId invocation;
  Outcome outcome = Outcome::Completed;
};
// The caller left, wherever the request was: queued (it leaves the queue) or dispatched (its slot
// is free, the instance is dealt with as AfterAbandon says).
struct InvocationCancelled {
  InvocationId invocation;
};

struct InstanceStarted {  // the process runs; the app is not listening yet
  InstanceId instance;
};
struct InstanceReady {  // the app listens and the initializer has succeeded
  InstanceId instance;
  std::optional<Duration>
      took{};  // its start, where the clock does not tell (sim: Protocol::Bound)
};
// The start failed. `error` answers the requests that waited for it (kind, code and message as
// given). The planner orders the rest stopped; InstanceGone follows as always.
struct InstanceStartFailed {
  InstanceId instance;
  Error error;
};
// Nothing of the instance is left. Not asked for: it crashed; its requests are aborted with `error`
// (when it was still starting: as InstanceStartFailed). `error` is not used after a StopInstance.
struct InstanceGone {
  InstanceId instance;
  Error error;
};

// The health check of a ready instance failed or succeeded often enough to change what is known of
// it (Function Compute: health checks). New requests go elsewhere while it is unhealthy.
struct InstanceHealthChanged {
  InstanceId instance;
  Health health = Health::Unhealthy;
};

// Somebody works inside the instance by a way of his own (a program run in it): it needs no slot,
// but while it lasts the instance is neither frozen nor parked nor stopped. Ignored, and no
// SessionClosed expected, unless the instance serves (InstanceView::sessions tells).
struct SessionOpened {
  InstanceId instance;
};
struct SessionClosed {
  InstanceId instance;
};

struct InstanceParked {  // its GPU memory is given back
  InstanceId instance;
};
// It could not be parked; it still holds its slice. The planner orders it stopped.
struct InstanceParkFailed {
  InstanceId instance;
  Error error;
};
struct InstanceWoken {  // it is on the card again and takes requests
  InstanceId instance;
  std::optional<Duration> took{};  // as InstanceReady's
};

struct CardAdded {
  Card card;
};
// The card takes no more slices. Starting and idle instances on it are stopped, busy ones drained.
struct CardLost {
  CardId card;
};

struct TimerFired {};  // the time of the last WakeAt has come; early is harmless

// The daemon shuts down: new requests are refused, queued and dispatched ones finish, every
// instance is stopped as soon as nothing needs it. Finished when Planner::atRest().
struct DrainStarted {};

// The runtime ended and every instance with it. Send it before (or instead of) the InstanceGones it
// implies, so that nothing is started meanwhile. Queued requests wait for RuntimeRestored.
struct RuntimeLost {
  Error error;  // answers the requests in flight
};
struct RuntimeRestored {};

using Event = std::variant<FunctionAdded, FunctionRetired, WeightChanged, MinimumChanged,
                           CapChanged, QuotaChanged, InvocationArrived, InvocationEnded,
                           InvocationCancelled, InstanceStarted, InstanceReady, InstanceStartFailed,
                           InstanceGone, InstanceHealthChanged, SessionOpened, SessionClosed,
                           InstanceParked, InstanceParkFailed, InstanceWoken, CardAdded, CardLost,
                           TimerFired, DrainStarted, RuntimeLost, RuntimeRestored>;

}  // namespace okibi::planner
