#pragma once
// Acts: planner commands carried out, one overload each. Internal to the conductor.

#include "conductor/conductor.h"

namespace okibi::conductor {

struct Conductor::Acts {
  Conductor& c;

  void operator()(planner::Dispatch command) const;
  void operator()(planner::Refuse command) const;
  void operator()(planner::Abort command) const;
  void operator()(planner::StartInstance command) const;
  void operator()(planner::StopInstance command) const;
  void operator()(planner::EndSessions command) const;
  void operator()(planner::Freeze command) const;
  void operator()(planner::Thaw command) const;
  void operator()(planner::Park command) const;
  void operator()(planner::Wake command) const;
  void operator()(planner::WakeAt command) const;
};

}  // namespace okibi::conductor
