#pragma once
// What an instance has of its account's quotas and of its card, by its state: one table, from which
// all books are kept.

#include "planner/instance_state.h"

namespace okibi::planner {

// How much of an allowance or a card an instance in a state has.
enum class Claim { None, Promised, Held, Leaving };

inline Claim quotaClaim(InstanceState state) {
  switch (state) {
    case InstanceState::Placing:
      return Claim::Promised;
    case InstanceState::Draining:
    case InstanceState::Stopping:
      return Claim::Leaving;
    case InstanceState::Gone:
      return Claim::None;
    default:
      return Claim::Held;
  }
}

// Of a GPU instance; `onCard`: whether it has a card.
inline Claim cardClaim(InstanceState state, bool onCard) {
  switch (state) {
    case InstanceState::Placing:
    case InstanceState::Recalled:
      return Claim::Promised;
    case InstanceState::Parking:
    case InstanceState::Draining:
      return Claim::Leaving;
    case InstanceState::Stopping:
      return onCard ? Claim::Leaving : Claim::None;
    case InstanceState::Parked:
    case InstanceState::Gone:
      return Claim::None;
    default:
      return Claim::Held;
  }
}

}  // namespace okibi::planner
