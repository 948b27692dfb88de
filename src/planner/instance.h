#pragma once
// One instance as the planner sees it.

#include <optional>
#include <set>
#include <string>

#include "base/ids.h"
#include "base/units.h"
#include "planner/command.h"
#include "planner/idle_watch.h"
#include "planner/instance_state.h"
#include "planner/keep_alive.h"
#include "planner/linked_list.h"
#include "planner/request_queue.h"

namespace okibi::planner {

struct CardBook;

// Where an instance stands among those of its function that have room: kept ones first, then most
// loaded first (fill
// before start), then most recently idle (so that the others' idle time runs), then lowest id.
struct RoomKey {
  bool kept = false;
  int load = 0;
  bool ahead = false;  // it came for one more than all others
  std::uint64_t idleOrder = 0;
  InstanceId id;
  Instance* instance = nullptr;
  bool operator<(const RoomKey& other) const {
    if (kept != other.kept) return kept;
    if (load != other.load) return load > other.load;
    if (ahead != other.ahead) return other.ahead;
    if (idleOrder != other.idleOrder) return idleOrder > other.idleOrder;
    return id < other.id;
  }
};
using RoomSet = std::set<RoomKey>;

// An instance's part in the turns of its card (CardTurns).
struct InstanceTurn {
  LinkedList<Request, &Request::turnLink> waiting;
  int requests = 0;         // computing
  std::int64_t served = 0;  // nanoseconds by slice
  Instant chargedAt;        // up to when `served` counts; valid while it computes
};

struct Instance {
  InstanceId id;
  Function* function = nullptr;
  InstanceState state = InstanceState::Placing;
  Health health = Health::Healthy;
  Instant since;       // of the state
  Instant startedAt;   // when its start was ordered
  Instant readySince;  // valid once it has been Ready
  // Null: a CPU function, or parked. Placing, recalled: claimed; else held.
  CardBook* card = nullptr;
  Bytes hostMemory;     // held from Park until it is awake again or gone
  std::string reason;   // why it was started or woken
  std::string whyCard;  // why it has the card it has
  bool kept = false;    // one of its function's minimum
  RequestList inFlight;
  int sessions = 0;  // of SessionOpened, not closed yet
  InstanceTurn turn;
  std::optional<StopReason> stopReason;  // why it drains
  std::string stopDetail;

  std::uint64_t idleOrder = 0;  // running number of the last time it became idle
  Instant idleSince;            // valid while isIdle() and while it is parked
  KeepAliveRule rule;           // for this time of being idle
  IdleWatch watch;              // of this time of being idle, when learned
  bool ahead = false;           // started or woken for a request that is expected (setAhead)
  bool spare = false;           // started for a burst, parked and not used yet
  // Started for a burst, and used only by requests that would have waited in line without it: up to
  // when it is there for others.
  std::optional<Instant> spareUntil;
  bool busy = false;             // counted as such in its pool
  bool wasServing = false;       // when its books were last brought up to date
  bool wasIdle = false;          // so
  double worth = 0;              // of keeping it, per GB and second: the least is given up first
  std::optional<Instant> timer;  // armed idle timer; may be earlier than needed
  std::optional<RoomKey> room;   // its key in the pool's room set
  RoomSet::node_type roomNode;   // kept for reuse while it has no room

  Link<Instance> poolLink, parkedLink, accountParked;
  Link<Instance> accountIdle, accountServing, shelfIdle, shelfServing;
  Link<Instance> accountAhead, shelfAhead;

  bool serving() const { return state == InstanceState::Ready || state == InstanceState::Frozen; }
  bool starting() const {
    return state == InstanceState::Starting || state == InstanceState::Initializing;
  }
  // It waits for card memory or quota that it has been promised.
  bool waits() const { return state == InstanceState::Placing || state == InstanceState::Recalled; }
  bool unused() const { return inFlight.empty() && sessions == 0; }
  bool isIdle() const { return serving() && unused(); }
};

}  // namespace okibi::planner
