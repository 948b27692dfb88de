#include "planner/request_queue.h"

#include <algorithm>

namespace okibi::planner {

void RequestQueue::push(Request& request) {
  OKIBI_CHECK(empty() || back()->arrival < request.arrival, "request {}", request.id.value());
  requests_.pushBack(request);
  overdue_ += request.overdue ? 1 : 0;
  place(request);
}

void RequestQueue::merge(Request& request) {
  Request* before = requests_.back();
  while (before && before->arrival > request.arrival) before = RequestList::previous(*before);
  requests_.insertAfter(before, request);
  overdue_ += request.overdue ? 1 : 0;
  place(request);
}

// Who must be served early needs all before it out of the way; who is behind a ripe one in the line
// is not ripe before it.
void RequestQueue::place(Request& request) {
  const Request* following = next(request);
  const Request* previous = RequestList::previous(request);
  request.ripe = following && following->ripe;
  if (following) request.ripeAt = std::min(request.ripeAt, following->ripeAt);
  ripe_ += request.ripe ? 1 : 0;
  if (!request.ripe && (!previous || previous->ripe)) unripe_ = &request;
  for (Request* r = &request; (r = RequestList::previous(*r)) && r->ripeAt > request.ripeAt;) {
    r->ripeAt = request.ripeAt;
  }
}

std::size_t RequestQueue::ripen(Instant now) {
  while (unripe_ && unripe_->ripeAt <= now) {
    unripe_->ripe = true;
    ++ripe_;
    unripe_ = next(*unripe_);
  }
  return ripe_;
}

void RequestQueue::erase(Request& request) {
  if (unripe_ == &request) unripe_ = next(request);
  ripe_ -= request.ripe ? 1 : 0;
  request.ripe = false;
  requests_.erase(request);
  overdue_ -= request.overdue ? 1 : 0;
}

void RequestQueue::markOverdue(Request& request) {
  OKIBI_CHECK(!request.overdue, "request {}", request.id.value());
  request.overdue = true;
  ++overdue_;
}

Request* RequestQueue::at(std::size_t ahead) const {
  if (ahead >= size()) return nullptr;
  Request* request = front();
  while (ahead-- > 0) request = next(*request);
  return request;
}

bool RequestQueue::isWithin(const Request& request, std::size_t slots) const {
  if (size() <= slots) return true;
  const Request* walker = front();
  for (; slots > 0; --slots, walker = next(*walker)) {
    if (walker == &request) return true;
  }
  return false;
}

}  // namespace okibi::planner
