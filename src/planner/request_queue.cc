#include "planner/request_queue.h"

#include <algorithm>

namespace okibi::planner {

void RequestQueue::push(Request& request) {
  OKIBI_CHECK(empty() || back()->arrival < request.arrival, "request {}", request.id.value());
  insert(requests_.back(), request);
}

void RequestQueue::merge(Request& request) {
  Request* before = requests_.back();
  while (before && before->arrival > request.arrival) before = RequestList::previous(*before);
  insert(before, request);
}

void RequestQueue::insert(Request* before, Request& request) {
  requests_.insertAfter(before, request);
  if (mark_ && request.arrival < mark_->arrival) ++markAhead_;
  if (request.overdue) overdue_.emplace(request.arrival, &request);
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
  if (mark_ == &request) {
    mark_ = next(request);
  } else if (mark_ && request.arrival < mark_->arrival) {
    --markAhead_;
  }
  requests_.erase(request);
  if (request.overdue) overdue_.erase(request.arrival);
}

void RequestQueue::markOverdue(Request& request) {
  OKIBI_CHECK(!request.overdue, "request {}", request.id.value());
  request.overdue = true;
  overdue_.emplace(request.arrival, &request);
}

Request* RequestQueue::overdueFrom(const Request& from) const {
  const auto found = overdue_.lower_bound(from.arrival);
  return found == overdue_.end() ? nullptr : found->second;
}

Request* RequestQueue::at(std::size_t ahead) const {
  if (ahead >= size()) return nullptr;
  const std::size_t last = size() - 1;
  if (!mark_ || ahead < markAhead_ / 2) {
    mark_ = front();
    markAhead_ = 0;
  }
  if (ahead > markAhead_ && last - ahead < ahead - markAhead_) {
    mark_ = back();
    markAhead_ = last;
  }
  for (; markAhead_ < ahead; ++markAhead_) mark_ = next(*mark_);
  for (; markAhead_ > ahead; --markAhead_) mark_ = RequestList::previous(*mark_);
  return mark_;
}

bool RequestQueue::isWithin(const Request& request, std::size_t slots) const {
  const Request* beyond = at(slots);
  return !beyond || request.arrival < beyond->arrival;
}

}  // namespace okibi::planner
