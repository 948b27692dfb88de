#pragma once
// World: the daemon's planner under a virtual clock. It plays what the conductor and the machine do
// for the real one: starts take their time, requests end, cards and host memory are there or not.

#include <functional>
#include <memory>

#include "sim/fleet.h"
#include "sim/policy.h"
#include "sim/tally.h"
#include "sim/workload.h"

namespace okibi::sim {

enum class Protocol {
  // As the daemon serves: a request waits for whichever instance is free first.
  Queue,
  // As keep-alive is compared in the literature: an instance is there at once and the request that
  // started or woke it waits on it, so that nobody else ever gets it first.
  Bound,
};

// Hears what instances do as the daemon's ledger does, in order of time. Under Protocol::Queue.
class Witness {
 public:
  enum class Kept { No, Yes };
  virtual ~Witness() = default;
  virtual void opened(InstanceId instance, Instant now) = 0;
  virtual void initializing(InstanceId instance, Instant now) = 0;
  // The requests that waited for it have begun. Kept: one of the function's minimum.
  virtual void ready(InstanceId instance, Kept kept, Instant now) = 0;
  virtual void began(InvocationId request, InstanceId instance, Duration waited, Instant now) = 0;
  virtual void ended(InvocationId request, Instant now) = 0;
  virtual void closed(InstanceId instance, Instant now) = 0;
};

struct WorldOptions {
  Fleet fleet;
  Policy policy;
  Protocol protocol = Protocol::Queue;
  int concurrency = 1;                           // requests an instance serves at once
  Bytes slice = Bytes::gib(8);                   // where the workload says nothing
  Duration deadline = std::chrono::seconds(60);  // a request's wait for capacity
  std::size_t queue = 1'000'000;                 // requests of a function that wait at once
  int cardTurns = 0;                             // instances that compute on a card at once; 0: all
  int cardQuota = 0;                             // GPU instances; 0: no limit
  int startBurst = 0, startGrowth = 0;  // instances started at once, per minute; 0: no limit
  Duration hasty{};                     // deadline of every fourth; zero: as the others'
  bool refuseEarly = true;              // who cannot be served in time
  // Told of each request, numbered in order of arrival, what became of it.
  enum class Fate { Served, RefusedEarly, Refused };
  std::function<void(std::uint64_t request, Fate)> observe = {};
  int minimum = 0;  // instances each function keeps; they are there from the beginning
  // How long they start: the first arrival comes that much later than the workload says, and so
  // ends the horizon. Nothing before it is counted.
  Duration lead{};
  Witness* witness = nullptr;
  std::uint64_t seed = 1;  // of what is drawn from distributions
};

// Plays the whole workload. Invalid when the workload cannot be read.
Result<Tally> simulate(const WorldOptions& options, Workload& workload);

}  // namespace okibi::sim
