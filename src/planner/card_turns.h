#pragma once
// The turns of one card: at most so many of its instances compute at once, each in proportion to
// its slice. A driver gives every busy context an equal share of time, whatever its size; this
// gives a share by admission, without the driver's help. An instance that has its turn may take
// more requests, so that applications which batch still can; but only until another waits that has
// had less, so that endless traffic on one instance cannot keep the others out.
//
// Served time is counted from the first to the last request of a turn and divided by the slice, as
// a fair queue does with work that is not known before it ends. Who comes after a pause starts
// level with those who wait, not with credit for the time it was away.

#include <cstdint>
#include <set>
#include <tuple>
#include <vector>

#include "planner/instance.h"

namespace okibi::planner {

class CardTurns {
 public:
  // The request waits for its instance's turn. REQUIRES: it is in flight on the instance.
  void join(Request& request, Instant now);
  // Whether a request of the instance would be granted at once, nobody being there before it.
  bool wouldGrant(const Instance& instance, int limit) const;
  // Takes the next request whose turn it is out of the waiting and counts it as computing; nullptr:
  // nobody's turn.
  Request* grant(Instant now, int limit);
  // Counts it as computing, out of turn.
  void grantNow(Request& request, Instant now);
  // The request stops waiting or computing.
  void leave(Request& request, Instant now);

  bool hasWaiting() const { return !waiting_.empty(); }
  std::size_t waitingInstances() const { return waiting_.size(); }
  const std::vector<Instance*>& computing() const { return computing_; }

 private:
  using Key = std::tuple<std::int64_t, InstanceId, Instance*>;
  static Key keyOf(Instance& instance);
  void charge(Instant now);
  void stopWaiting(Request& request);

  std::set<Key> waiting_;             // instances with waiting requests, least served first
  std::vector<Instance*> computing_;  // instances with their turn: no more than the limit
  std::int64_t level_ = 0;            // served by the instance granted last, at its grant
};

}  // namespace okibi::planner
