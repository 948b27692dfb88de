#include "conductor/clock.h"

namespace okibi::conductor {

WallTime wallNow() {
  return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

ledger::Moment momentNow(const net::Loop& loop) {
  return {loop.now(), wallNow()};
}

}  // namespace okibi::conductor
