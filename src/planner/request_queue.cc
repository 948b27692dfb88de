#include "planner/request_queue.h"

namespace okibi::planner {

void RequestQueue::push(Request& request) {
  OKIBI_CHECK(empty() || back()->arrival < request.arrival, "request {}", request.id.value());
  requests_.pushBack(request);
  overdue_ += request.overdue ? 1 : 0;
}

void RequestQueue::merge(Request& request) {
  Request* before = requests_.back();
  while (before && before->arrival > request.arrival) before = RequestList::previous(*before);
  requests_.insertAfter(before, request);
  overdue_ += request.overdue ? 1 : 0;
}

void RequestQueue::erase(Request& request) {
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
