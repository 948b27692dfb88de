#pragma once
// Steps that the hooks of different kinds of memory share.

#include "shim/hooks.h"
#include "shim/ledger.h"

namespace okibi::shim {

// Notes a charged thing, so that its end gives the charge back. When no memory is left to note it,
// the charge stays until the process ends.
void remember(const Record& record);

// The note of a thing that lives in the current context and ends by one call.
Record ownedNote(Kind kind, std::uint64_t key, int card, std::uint64_t units);

// Removes what is noted of a thing and returns it; kind None when nothing is.
Record take(Kind kind, std::uint64_t key);

// Forgets a thing; its charge goes back. False when it was not charged (an import, a parent's).
bool forget(Kind kind, std::uint64_t key);

// Everything that dies with a context: pointers and arrays.
void forgetContext(std::uint64_t context);

// Charges `units`, makes the call, and keeps the charge if it succeeds.
template <class Call>
cuda::Status charged(int card, std::uint64_t units, Call make) {
  if (const cuda::Status refused = charge(card, units)) return refused;
  const cuda::Status status = make();
  if (status != cuda::kSuccess) giveBack(card, units);
  return status;
}

// Makes the call that ends a thing, and gives its charge back if that succeeds. The note is taken
// before the call: once the driver has freed it, another thread may get the same address.
struct Ended {
  cuda::Status status;
  enum class Noted { No, Yes } noted;
};
template <class Call>
Ended endNoted(Kind kind, std::uint64_t key, Call make) {
  const Record was = take(kind, key);
  const cuda::Status status = make();
  if (was.kind == Kind::None) return {status, Ended::Noted::No};
  if (status == cuda::kSuccess)
    giveBack(was.card, was.units);
  else
    remember(was);
  return {status, Ended::Noted::Yes};
}

// Stream-ordered memory (hooks_pool.cc): what the driver keeps for pools is compared with what is
// charged.
void trueUpPools();
// After the freeing of a pointer by a function that is not a pool's. True when it belonged to a
// pool.
bool forgetPooled(std::uint64_t pointer);
// Gives the unused memory of every pool back to the driver.
void trimPools();
// The same for memory that the driver keeps for graphs (hooks_graph.cc).
void trueUpGraphs();

}  // namespace okibi::shim
