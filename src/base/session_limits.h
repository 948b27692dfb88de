#pragma once
// Limits of programs that are run inside instances (instance exec), with unit and source. Beside
// base/limits.h, which says the rest.

#include <cstddef>

#include "base/units.h"

namespace okibi::limits {

inline constexpr std::size_t kSessions = 64, kSessionsPerInstance = 8;
inline constexpr std::chrono::seconds kSessionIdleMax{600};  // without data (spec 7.6)
inline constexpr std::chrono::seconds kSessionMax{86'400};   // as the longest invocation
inline constexpr std::chrono::seconds kSessionDrain{10};  // what an instance on its way out waits
inline constexpr Bytes kSessionCommand = Bytes::kib(3);   // words together; a target has 4

}  // namespace okibi::limits
