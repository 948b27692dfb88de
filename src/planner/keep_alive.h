#pragma once
// How long an idle instance is kept, and in which state: on the card, frozen, parked, released.

#include <optional>

#include "base/units.h"

namespace okibi::planner {

// A hundred years.
inline constexpr Duration kForever = std::chrono::hours(876'000);

// Times since the last request ended.
struct KeepAliveRule {
  Duration idleTimeout{};
  std::optional<Duration> freezeAfter{};  // nullopt: never
  std::optional<Duration> parkAfter{};    // nullopt: never
};

enum class IdleAction { Freeze, Park, Release };

// What is done next with an instance that stays idle, and when.
struct IdleStep {
  Instant at;
  IdleAction action = IdleAction::Release;
  auto operator<=>(const IdleStep&) const = default;
};

// How it is kept now.
enum class Hold { Running, Frozen, Parked };

inline IdleStep nextIdleStep(const KeepAliveRule& rule, Instant idleSince, Hold hold) {
  Duration after = rule.idleTimeout;
  IdleAction action = IdleAction::Release;
  if (hold != Hold::Parked && rule.parkAfter && *rule.parkAfter < after) {
    after = *rule.parkAfter;
    action = IdleAction::Park;
  }
  if (hold == Hold::Running && rule.freezeAfter && *rule.freezeAfter < after) {
    after = *rule.freezeAfter;
    action = IdleAction::Freeze;
  }
  return {idleSince + after, action};
}

}  // namespace okibi::planner
