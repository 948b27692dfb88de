#include "planner/instance_state.h"

namespace okibi::planner {

std::string_view toString(InstanceState state) {
  switch (state) {
    case InstanceState::Placing:
      return "placing";
    case InstanceState::Starting:
      return "starting";
    case InstanceState::Initializing:
      return "initializing";
    case InstanceState::Ready:
      return "ready";
    case InstanceState::Frozen:
      return "frozen";
    case InstanceState::Parking:
      return "parking";
    case InstanceState::Parked:
      return "parked";
    case InstanceState::Recalled:
      return "recalled";
    case InstanceState::Waking:
      return "waking";
    case InstanceState::Draining:
      return "draining";
    case InstanceState::Stopping:
      return "stopping";
    case InstanceState::Gone:
      return "gone";
  }
  return "?";
}

bool mayMove(InstanceState from, InstanceState to) {
  using enum InstanceState;
  if (to == Gone) return from != Gone;  // withdrawn, crashed or stopped
  switch (from) {
    case Placing:
      return to == Starting;
    // A runtime may report readiness without the step between.
    case Starting:
      return to == Initializing || to == Ready || to == Stopping;
    case Initializing:
      return to == Ready || to == Stopping;
    case Ready:
      return to == Frozen || to == Parking || to == Draining || to == Stopping;
    case Frozen:
      return to == Ready || to == Stopping;
    case Parking:
      return to == Parked || to == Stopping;
    case Parked:
      return to == Recalled || to == Stopping;
    case Recalled:
      return to == Waking || to == Parked;
    case Waking:
      return to == Ready || to == Stopping;
    case Draining:
      return to == Stopping;
    case Stopping:
    case Gone:
      return false;
  }
  return false;
}

}  // namespace okibi::planner
