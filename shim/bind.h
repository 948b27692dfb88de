#pragma once
// Joins a front with the host's library: every name gets its hook, or the real function, or, when
// the budget cannot be kept, a refusal.

#include <cstdint>

#include "shim/hooks.h"

namespace okibi::shim {

// The hook to use where the driver's resolver answered `symbol` with `address`; null: leave the
// address as it is. An address that the library exports decides by itself. One that it does not
// export is a private entry of the driver: then the name, the version asked for and the stream flag
// decide, so that no driver's habit goes round the budget.
void* hookFor(const char* symbol, void* address, int version, std::uint64_t flags);

}  // namespace okibi::shim
