#pragma once
// AsyncQueue: asynchronous invocations between their 202 and their end (Function Compute:
// asynchronous invocation). Accepted ones are in the store, so they survive the daemon; each is
// tried until the function has answered, its retries are used up, or it is too old. A daemon that
// dies during a try makes it again: at least once. Loop thread only.

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "base/result.h"
#include "conductor/resource_map.h"
#include "net/loop.h"
#include "seams/state_store.h"

namespace okibi::conductor {

enum class AttemptResult {
  Done,            // the function answered
  FunctionFailed,  // its own fault: tried again as often as it is configured
  NotReached,      // throttled, or ours: tried again for hours
  Hopeless,        // there is no such function any more
};

// What becomes of an event after a try that was not Done: when it is due again, or nullopt: it is
// dropped. 0.5, 1, 2 … s between tries, at most 5 minutes; 5 h for what never reached a function.
std::optional<seams::AsyncEvent> afterAttempt(seams::AsyncEvent event, AttemptResult result,
                                              WallTime now);

// What was asked for.
struct AsyncArrival {
  FunctionRef function;
  std::string qualifier;  // empty: LATEST
  std::string requestId, taskId;
  Seconds delay{0};
  std::string payload;
  bool http = false;  // through an HTTP trigger
};
// With the retry rules that are configured for it now.
seams::AsyncEvent asyncEvent(const AsyncArrival& arrival, const ResourceMap& resources,
                             WallTime now);

class AsyncQueue {
 public:
  using Run = std::function<net::Task<AttemptResult>(seams::AsyncEvent event, std::string payload)>;

  AsyncQueue(net::Loop& loop, seams::StateStore& store)
      : loop_(loop), store_(store), timer_(loop) {}

  // What an earlier daemon had accepted.
  Result<void> load();
  // From now on events are tried, by `run`.
  void start(Run run);
  // No new tries. What waits stays in the store.
  void stop() { run_ = nullptr; }

  // Durable when it returns. AlreadyExists: an event of this function with the same task id is not
  // over yet.
  net::Task<Result<void>> enqueue(seams::AsyncEvent event, std::string payload);
  // Events of a function that are not over.
  std::size_t backlog(const FunctionRef& function) const;

 private:
  using Key = std::pair<WallTime, std::string>;  // due, request id
  void pump();
  net::Task<void> attempt(seams::AsyncEvent event);
  net::Task<void> end(const seams::AsyncEvent& event);

  net::Loop& loop_;
  seams::StateStore& store_;
  net::Timer timer_;
  Run run_;
  std::map<Key, seams::AsyncEvent> waiting_;
  std::map<FunctionRef, std::size_t> backlog_;
  int running_ = 0;
};

}  // namespace okibi::conductor
