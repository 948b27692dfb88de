#include "conductor/instance.h"

#include <algorithm>

namespace okibi::conductor {

ledger::ColdPhases phasesWithin(const StartTimes& times, Instant received, Instant dispatched) {
  const auto part = [&](Instant from, Instant to) {
    const Instant low = std::clamp(from, received, dispatched);
    const Instant high = std::clamp(to, low, dispatched);
    return high - low;
  };
  ledger::ColdPhases phases;
  phases.image = part(times.ordered, times.imaged);
  phases.sandbox = part(times.imaged, times.sandboxed);
  phases.app = part(times.sandboxed, times.listening);
  phases.init = part(times.listening, times.ready);
  phases.schedule = (dispatched - received) - phases.sum();
  return phases;
}

}  // namespace okibi::conductor
