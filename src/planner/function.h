#pragma once
// One deployed revision. A sleeping one (no requests, no instances) is this struct and nothing
// else: there may be a million of them.

#include <memory>
#include <string>

#include "planner/habits.h"
#include "planner/instance_pool.h"
#include "planner/keep_alive.h"
#include "planner/plan.h"
#include "planner/quota.h"
#include "planner/slice_ledger.h"

namespace okibi::planner {

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

  bool retired = false;
  int startFailures = 0;               // in a row
  std::unique_ptr<InstancePool> pool;  // null: asleep
  std::unique_ptr<Habits> habits;      // null: nothing is learned of it (yet)
};

}  // namespace okibi::planner
