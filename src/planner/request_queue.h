#pragma once
// Requests, and the queue of one function: first come, first served.

#include <cstdint>
#include <map>
#include <string>

#include "base/ids.h"
#include "base/units.h"
#include "planner/command.h"
#include "planner/linked_list.h"

namespace okibi::planner {

struct Function;
struct Instance;

// Of its card, where cards have turns (CardTurns). Waiting: it holds a slot of its instance, which
// has not heard of it yet.
enum class Turn { None, Waiting, Taken };

// A request is in exactly one place: in its function's queue (instance is null), or in flight on an
// instance; when it is answered it no longer exists.
struct Request {
  InvocationId id;
  Function* function = nullptr;
  Instance* instance = nullptr;
  std::uint64_t arrival = 0;  // running number over all functions
  Instant deadline;
  Instant ripeAt;     // until then it may wait in line without an instance coming for it
  bool ripe = false;  // that time has passed
  // Of its function when it came to wait in line: a request, a start. Zero: not known.
  Duration serviceThen{}, startThen{};
  Instant dispatchedAt;  // its instance heard of it
  // The deadline passed while an instance was starting for it (Core::expire).
  bool overdue = false;
  // What the function had when the request came and had to wait.
  int servingThen = 0, startingThen = 0;
  // While it waits for a turn: what its Dispatch will say.
  Turn turn = Turn::None;
  Instant turnSince;
  Warmth warmth = Warmth::Warm;
  std::string reason;
  Link<Request> link, turnLink;
};

using RequestList = LinkedList<Request, &Request::link>;

class RequestQueue {
 public:
  bool empty() const { return requests_.empty(); }
  std::size_t size() const { return requests_.size(); }
  Request* front() const { return requests_.front(); }
  Request* back() const { return requests_.back(); }
  static Request* next(const Request& request) { return RequestList::next(request); }
  std::size_t overdue() const { return overdue_.size(); }
  // The first marked overdue that came no earlier than `from`; nullptr: none.
  Request* overdueFrom(const Request& from) const;

  // Counts those whose `ripeAt` has come: they are at the front.
  std::size_t ripen(Instant now);
  // The first that is not ripe; nullptr: all are.
  Request* unripe() const { return unripe_; }

  void push(Request& request);
  // Puts a request that comes from another queue in its place by arrival.
  void merge(Request& request);
  void erase(Request& request);
  void markOverdue(Request& request);

  // The request with `ahead` others before it; nullptr: the queue is not that long. Costs as many
  // steps as it is away from the one asked for last, or from either end.
  Request* at(std::size_t ahead) const;
  // Whether fewer than `slots` requests are before it.
  bool isWithin(const Request& request, std::size_t slots) const;

 private:
  void insert(Request* before, Request& request);
  void place(Request& request);  // keeps `ripeAt` in order

  RequestList requests_;
  std::map<std::uint64_t, Request*> overdue_;  // those that are marked, by arrival
  std::size_t ripe_ = 0;
  Request* unripe_ = nullptr;
  // Where at() was last, and how many are before it; null: nowhere.
  mutable Request* mark_ = nullptr;
  mutable std::size_t markAhead_ = 0;
};

}  // namespace okibi::planner
