#pragma once
// What an account may hold and holds, and who waits for it.

#include <algorithm>
#include <optional>
#include <set>
#include <string>

#include "base/ids.h"
#include "planner/instance.h"
#include "planner/start_allowance.h"
#include "planner/waiting_line.h"

namespace okibi::planner {

// A counted allowance. `leaving` of the `held` will be given back (draining or stopping);
// `promised` of what is or will be free belongs to instances in Placing.
struct Allowance {
  int limit = 0;
  int held = 0;
  int leaving = 0;
  int promised = 0;
  int granted = 0;  // `limit` comes down to it as what is held and promised goes
  void grant(int most) {
    granted = most;
    settleLimit();
  }
  void settleLimit() { limit = std::max({granted, held, held - leaving + promised}); }
  bool hasFree() const { return held < limit; }
  bool canPromise() const { return held - leaving + promised < limit; }
};

struct Account {
  std::string name;
  std::uint64_t id = 0;               // in order of appearance
  Allowance cards;                    // GPU instances: each counts one card, whatever its slice
  Allowance instances;                // all instances
  StartAllowance starts;              // how fast it may start instances
  std::optional<Instant> startTimer;  // for who waits in `startLine`
  WaitingLine cardLine, instanceLine, startLine;
  int waiting = 0;  // functions in any line
  // Idle and serving instances that are not kept, longest first; those of GPU and of CPU functions
  // apart.
  LinkedList<Instance, &Instance::accountIdle> idleGpu, idleCpu;
  LinkedList<Instance, &Instance::accountServing> servingGpu, servingCpu;
  LinkedList<Instance, &Instance::accountParked> parked;  // so
  LinkedList<Instance, &Instance::accountAhead> ahead;
  std::set<InstanceId> placing;  // also recalled ones
  int weight = 1;
  bool dirty = false;  // something was given back: its lines are to be served in this step
};

}  // namespace okibi::planner
