#pragma once
// The life of an instance: one enum, one table of legal moves.

#include <string_view>

namespace okibi::planner {

enum class InstanceState {
  Placing,       // promised card memory and quota that others are still giving back; nothing runs
  Starting,      // StartInstance issued: the slice is held, the sandbox is being made
  Initializing,  // the process runs; the app is not ready
  Ready,         // takes requests; idle or busy
  Frozen,        // idle, CPU stopped; thawed before its next request
  Parking,       // idle, gives its GPU memory back; the slice is held until that is done
  Parked,        // lives in host memory, holds no part of a card
  Recalled,      // parked, promised card memory and quota that others are still giving back
  Waking,        // Wake issued: the slice is held again
  Draining,      // finishes its requests, takes no more
  Stopping,      // StopInstance issued: slice and quota are held until it is gone
  Gone,          // nothing is left; the planner forgets it in the same step
};

// What the health check of a ready instance says. Orthogonal to its state: an ailing instance keeps
// its requests, may freeze and is released like any other, but gets no new ones.
enum class Health { Healthy, Unhealthy };

std::string_view toString(InstanceState state);

// Whether the life cycle allows the move. A crash takes any state that has started to Gone.
bool mayMove(InstanceState from, InstanceState to);

}  // namespace okibi::planner
