#pragma once
// One deployed revision. A sleeping one (no requests, no instances) is this struct and nothing
// else: there may be a million of them.

#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "planner/event.h"
#include "planner/experience.h"
#include "planner/habits.h"
#include "planner/instance_pool.h"
#include "planner/keep_alive.h"
#include "planner/plan.h"
#include "planner/quota.h"
#include "planner/slice_ledger.h"

namespace okibi::planner {

// All revisions of one function: what a cap counts.
struct Group {
  std::optional<int> most;
  int alive = 0;  // instances in any state
  std::set<FunctionKey> members;
  // How many more may be made; below 0 after the cap was lowered.
  int room() const { return most ? *most - alive : std::numeric_limits<int>::max(); }
};

struct Function {
  // Constant
  FunctionKey key;
  std::string name;
  Account* account = nullptr;
  Shelf* shelf = nullptr;  // null: a CPU function
  Bytes slice;
  KeepAliveRule keepAlive;
  int concurrency = 1;
  AfterAbandon afterAbandon = AfterAbandon::KeepInstance;
  FunctionPlan::Demand demand = FunctionPlan::Demand::Starts;
  Group* group = nullptr;

  bool retired = false;
  int weight = 1;
  int minimum = 0, kept = 0;  // instances to keep; those marked as kept
  MinimumChanged::Rest rest = MinimumChanged::Rest::Running;
  std::uint64_t ticket =
      0;                  // its arrival in a waiting line, for its minimum; 0: nothing is missing
  Instant retryAt{};      // starts for the minimum have failed: none before
  int startFailures = 0;  // in a row
  std::unique_ptr<InstancePool> pool;      // null: asleep
  std::unique_ptr<Experience> experience;  // null: nothing was seen of it (yet)
  std::unique_ptr<Habits> habits;          // null: nothing is learned of it (yet)
};

}  // namespace okibi::planner
