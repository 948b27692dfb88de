#include "planner/card_turns.h"

#include <algorithm>

#include "planner/function.h"

namespace okibi::planner {
namespace {

// Nanoseconds of a slice of 1 GB.
std::int64_t weighed(Duration time, Bytes slice) {
  return time.count() / std::max<std::int64_t>(1, slice.count() >> 20) * 1024;
}

bool computes(const Instance& instance) {
  return instance.turn.requests > 0;
}

}  // namespace

CardTurns::Key CardTurns::keyOf(Instance& instance) {
  return {instance.turn.served, instance.id, &instance};
}

// Brings what the computing instances have been served up to now.
void CardTurns::charge(Instant now) {
  for (Instance* instance : computing_) {
    const bool waits = waiting_.erase(keyOf(*instance)) > 0;
    instance->turn.served += weighed(now - instance->turn.chargedAt, instance->function->slice);
    instance->turn.chargedAt = now;
    if (waits) waiting_.insert(keyOf(*instance));
  }
}

void CardTurns::join(Request& request, Instant now) {
  Instance& instance = *request.instance;
  request.turn = Turn::Waiting;
  request.turnSince = now;
  instance.turn.waiting.pushBack(request);
  if (instance.turn.waiting.size() > 1) return;
  if (!computes(instance)) instance.turn.served = std::max(instance.turn.served, level_);
  waiting_.insert(keyOf(instance));
}

bool CardTurns::wouldGrant(const Instance& instance, int limit) const {
  return waiting_.empty() &&
         (computes(instance) || computing_.size() < static_cast<std::size_t>(limit));
}

Request* CardTurns::grant(Instant now, int limit) {
  if (waiting_.empty()) return nullptr;
  charge(now);
  Instance& first = *std::get<Instance*>(*waiting_.begin());
  if (!computes(first) && computing_.size() >= static_cast<std::size_t>(limit)) return nullptr;
  level_ = std::max(level_, first.turn.served);
  Request& request = *first.turn.waiting.front();
  stopWaiting(request);
  grantNow(request, now);
  return &request;
}

void CardTurns::grantNow(Request& request, Instant now) {
  Instance& instance = *request.instance;
  request.turn = Turn::Taken;
  if (instance.turn.requests++ > 0) return;
  instance.turn.chargedAt = now;
  computing_.push_back(&instance);
}

void CardTurns::leave(Request& request, Instant now) {
  if (request.turn == Turn::Waiting) {
    stopWaiting(request);
  } else if (request.turn == Turn::Taken) {
    charge(now);
    Instance& instance = *request.instance;
    if (--instance.turn.requests == 0) std::erase(computing_, &instance);
  }
  request.turn = Turn::None;
}

void CardTurns::stopWaiting(Request& request) {
  Instance& instance = *request.instance;
  instance.turn.waiting.erase(request);
  if (instance.turn.waiting.empty()) waiting_.erase(keyOf(instance));
}

}  // namespace okibi::planner
