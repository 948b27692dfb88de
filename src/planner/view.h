#pragma once
// What the planner shows of its state, for `ps`, metrics and checkers: copies, in order of id or
// name.

#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/units.h"
#include "planner/command.h"
#include "planner/instance_state.h"

namespace okibi::planner {

struct InstanceView {
  InstanceId id;
  FunctionKey function;
  InstanceState state = InstanceState::Placing;
  Health health = Health::Healthy;
  Instant since;               // of the state
  bool kept = false;           // one of its function's minimum
  int inFlight = 0;            // requests it works on
  int sessions = 0;            // open ones (SessionOpened)
  int waitingTurn = 0;         // requests that hold a slot and wait for the card's turn
  std::optional<Slice> slice;  // Placing, Recalled: claimed, not yet held
  std::optional<Instant> idleSince;
};

struct CardView {
  CardId id;
  std::string type;
  Bytes memory, used;  // used: held by instances that are not gone
  Bytes claimed;       // promised to instances in Placing
  int slices = 0;
  bool lost = false;
};

struct FunctionView {
  FunctionKey key;
  std::size_t queued = 0;
  int starting = 0;        // instances not ready yet
  int serving = 0;         // Ready or Frozen
  int parked = 0;          // Parked or on the way there
  bool inLine = false;     // it waits for something scarce
  bool forCards = false;   // that is cards
  std::string waitingFor;  // what the queue waits for; empty: nothing, or for starting instances
  std::optional<Instant> oldestDeadline;  // of the queued request that came first
};

struct AccountView {
  std::string name;
  int cards = 0, cardQuota = 0;          // GPU instances, whatever their slice
  int instances = 0, instanceQuota = 0;  // all instances
  int startsUsed = 0, startBurst = 0;    // of those that may be started at once; 0 of 0: no limit
  int startGrowth = 0;                   // that come back per minute
};

}  // namespace okibi::planner
