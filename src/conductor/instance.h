#pragma once
// What the conductor knows of one live instance and of one revision it belongs to. Loop thread
// only.

#include <memory>
#include <optional>
#include <string>

#include "base/ids.h"
#include "conductor/function_logs.h"
#include "conductor/roles.h"
#include "ledger/moment.h"
#include "ledger/record.h"
#include "ledger/usage_meter.h"
#include "model/function.h"
#include "net/upstream_pool.h"
#include "planner/command.h"
#include "seams/image_store.h"

namespace okibi::conductor {

// One deployed configuration: what FunctionKey stands for. Immutable; the weight may have changed
// since, which the planner and the catalog know.
struct Revision {
  FunctionKey key;
  FunctionRef ref;
  FunctionSpec spec;
  std::uint64_t number = 1;
  std::string version;  // "LATEST" or a version id
  seams::PreparedImage image;
  RoleUse role = {};
};

// When each phase of a cold start ended (docs/architecture.md section 2).
struct StartTimes {
  Instant ordered{}, imaged{}, sandboxed{}, listening{}, ready{};
};

// The part of a start that a request waited for: each phase cut to [received, dispatched]; what is
// left (waiting for capacity before, for the slot after) is `schedule`, so that the phases sum
// exactly.
ledger::ColdPhases phasesWithin(const StartTimes& times, Instant received, Instant dispatched);

enum class InstancePhase { Starting, Serving, Stopping, Gone };

struct Instance {
  InstanceId id;
  std::string name;  // "c-…"
  std::shared_ptr<const Revision> revision;
  std::optional<planner::Slice> slice;
  std::string startReason;  // and why on that card
  std::string whyCard;
  bool ahead = false;  // started for an expected request: what comes before one is not billed
  StartTimes times;
  bool served = false;   // a request has been given to it
  int startsAtOnce = 1;  // the most instances of its function that were starting while it was
  WallTime created{};
  InstancePhase phase = InstancePhase::Starting;
  // Sandbox: exists in the runtime, so its end comes through onExit.
  enum class Sandbox { None, Exists } sandbox = Sandbox::None;
  // The initializer's use. It ends after the first requests have begun, so that load and first
  // answer are one active interval and its GPU time is rounded up once.
  ledger::UseId initializing;
  bool keptIdle = false;  // its rest is metered
  // CPU time at the last look, and the share of its CPUs it has used since the one before; of kept
  // instances whose number follows that.
  struct CpuSample {
    Instant at{};
    Duration used{};
    std::optional<double> share;
  };
  std::optional<CpuSample> cpuSample;
  ledger::UseId keeping;  // of an instance that is kept running, for as long as it is
  std::string stopWord;   // why it was stopped, for the ledger
  std::string cgroup;     // of its processes; empty while there are none, and without a slice
  std::optional<Bytes> driverLimit;  // on its card's memory, where the driver itself holds one
  // The platform killed it for this, and the ledger's word for it.
  std::optional<Error> endReason;
  std::string endWord = "crashed";
  int inFlight = 0;
  // Whether its processes run: health checks pause while they do not.
  enum class Cpu { Running, Stopped } cpu = Cpu::Running;
  net::UpstreamPool connections{static_cast<std::size_t>(limits::kConcurrencyMax)};
  OutputTail output;
};

}  // namespace okibi::conductor
