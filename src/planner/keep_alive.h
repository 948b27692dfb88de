#pragma once
// How long an idle instance is kept, and in which state. The whole policy is this function.

#include <optional>

#include "base/units.h"

namespace okibi::planner {

struct KeepAliveRule {
  Duration idleTimeout{};
  std::optional<Duration> freezeAfter;  // nullopt: never
};

enum class IdleAction { Freeze, Release };

// What is done next with an instance that stays idle, and when.
struct IdleStep {
  Instant at;
  IdleAction action = IdleAction::Release;
  auto operator<=>(const IdleStep&) const = default;
};

enum class Cpu { Running, Stopped };

// `cpu`: Stopped when it is frozen already.
inline IdleStep nextIdleStep(const KeepAliveRule& rule, Instant idleSince, Cpu cpu) {
  if (cpu == Cpu::Running && rule.freezeAfter && *rule.freezeAfter < rule.idleTimeout) {
    return {idleSince + *rule.freezeAfter, IdleAction::Freeze};
  }
  return {idleSince + rule.idleTimeout, IdleAction::Release};
}

}  // namespace okibi::planner
