#pragma once
// Where a slice goes, and who has to leave for it. Pure functions of the books: the policy that can
// be replaced.

#include <optional>
#include <vector>

#include "base/units.h"
#include "planner/function.h"

namespace okibi::planner {

struct Placement {
  CardBook* card = nullptr;
  std::vector<Instance*> victims;  // to be stopped or drained first
};

// Who may be made to leave. nullopt: only idle instances. Otherwise also busy ones (they are
// drained), longest ready first, of other functions, that have been ready since `readyBefore` or
// longer (whoever got its place a moment ago keeps it for a while), where that makes what accounts
// and functions hold more equal, or who asks holds nothing.
using YieldRule = std::optional<Instant>;

// What the function holds of the cards of its type, by its weight.
std::int64_t cardShare(const Function& function);

// A card for the function's slice: the one that it fills best (least memory left over, then lowest
// id; PlannerConfig::cardRule knows another way); else one where enough is being given back; else
// one where others leave: those longest idle, no more than needed. nullopt: no card can have room.
std::optional<Placement> placeSlice(const Function& function, YieldRule readyBefore);

// The card chosen in the same way among those where it can be booked at once; nullptr: none.
CardBook* bookableCard(const Shelf& shelf, Bytes slice);

// An instance of the function's account, not among `leaving`, whose end frees a GPU card of the
// quota (GpuInstances) or any instance of it. nullptr: none.
enum class QuotaKind { GpuInstances, AllInstances };
Instance* pickForQuota(const Function& function, QuotaKind kind, YieldRule readyBefore,
                       const std::vector<Instance*>& leaving);

}  // namespace okibi::planner
