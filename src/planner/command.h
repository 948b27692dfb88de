#pragma once
// What must now be done, in the order it must be done. The planner has already changed its own
// state as if the command had succeeded; whatever goes wrong comes back as an event.

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/ids.h"
#include "base/result.h"
#include "base/units.h"

namespace okibi::planner {

// What the request met. Woken: it waited for a parked instance to wake. Cold: for one to start.
enum class Warmth { Warm, Thawed, Woken, Cold };

// Hand the request to the instance. A Thaw of it, when needed, comes before.
struct Dispatch {
  InvocationId invocation;
  InstanceId instance;
  Warmth warmth = Warmth::Warm;
  std::string reason;  // "no instance; waited: no card of T had room"; empty: served at once
};

// The queued or new request will not be served. Its last command.
struct Refuse {
  InvocationId invocation;
  Error error;
  std::optional<Duration> retryAfter = std::nullopt;  // when it may be served; nullopt: not known
};

// The instance of a dispatched request is gone. Its last command: the slot no longer exists, no
// InvocationEnded is expected. An answer that has already arrived may still be delivered; a request
// without one is answered with `error`.
struct Abort {
  InvocationId invocation;
  InstanceId instance;
  Error error;
};

// The part of a card an instance holds from StartInstance until InstanceGone.
struct Slice {
  CardId card;
  Bytes memory;
  bool operator==(const Slice&) const = default;
};

struct StartInstance {
  InstanceId instance;
  FunctionKey function;
  std::optional<Slice> slice;  // nullopt: a CPU function
  std::string reason;          // "no instance"; "all 2 instances full"; …
  std::string whyCard;         // "card 3: …, 4 of 16 GB are left"; empty: a CPU function
  bool ahead = false;          // for a request that is expected; none waits
};

enum class PreStop { Run, Skip };  // Skip: it never became ready, is broken, or lost its card
enum class StopReason {
  IdleTimeout,       // idle longer than its function's idleTimeout
  MadeRoom,          // idle, and another function's request waited for its card or quota
  Yielded,           // drained for a function that waited long
  RevisionRetired,   // function deleted or replaced
  StartFailed,       // the start failed; remove what is left
  Broken,            // it broke a connection
  RequestAbandoned,  // AfterAbandon::ReplaceInstance
  ParkFailed,        // its GPU memory could not be given back
  CardLost,
  MinimumLowered,  // kept no more, or above a lowered cap
  Drain,           // the daemon shuts down
};
std::string_view toString(StopReason reason);

// End the instance: no request is in flight on it and none will be. A frozen one is thawed before
// (a Thaw command precedes). InstanceGone is owed.
struct StopInstance {
  InstanceId instance;
  StopReason reason = StopReason::IdleTimeout;
  PreStop preStop = PreStop::Run;
  std::string detail;  // for people: "for function 'photo-tags'", why its start failed
};

// The instance drains: the sessions in it are to be told and, after a while, ended. Each still owes
// its SessionClosed.
struct EndSessions {
  InstanceId instance;
};

// Stop / resume the CPU of an idle instance. Not confirmed: a failed Freeze may be ignored, a
// failed Thaw means the instance is broken (kill it; InstanceGone).
struct Freeze {
  InstanceId instance;
};
struct Thaw {
  InstanceId instance;
};

// Give the GPU memory of an idle instance back and keep its process in host memory (never frozen: a
// Thaw precedes). InstanceParked or InstanceParkFailed is owed. The slice is held until then.
struct Park {
  InstanceId instance;
};
// The opposite, on any card of the same type. InstanceWoken is owed; a wake that fails ends the
// instance (InstanceGone). The slice is held from now on.
struct Wake {
  InstanceId instance;
  Slice slice;
  std::string whyCard;
  bool ahead = false;  // for a request that is expected; none waits
};

// Send TimerFired at this time. Each WakeAt replaces the one before: there is one timer.
struct WakeAt {
  Instant time;
};

using Command = std::variant<Dispatch, Refuse, Abort, StartInstance, StopInstance, EndSessions,
                             Freeze, Thaw, Park, Wake, WakeAt>;

}  // namespace okibi::planner
