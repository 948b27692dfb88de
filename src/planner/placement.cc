#include "planner/placement.h"

#include <algorithm>
#include <map>

namespace okibi::planner {
namespace {

CardBook* bestFit(const Shelf& shelf, const Shelf::Index& index, Bytes slice) {
  auto found = index.lower_bound({slice, CardId()});
  return found == index.end() ? nullptr : shelf.cards.at(found->second);
}

// Of the free memory of a card, what an average function could not use.
double unusable(const Shelf& shelf, Bytes free) {
  int barred = 0, all = 0;
  for (const auto& [size, functions] : shelf.sizes) {
    all += functions;
    if (size > free) barred += functions;
  }
  return all == 0 ? 0 : static_cast<double>(free.count()) * barred / all;
}

// The fullest of equals, then the lowest id. Linear in the different amounts that are free.
CardBook* leastFragmentation(const Shelf& shelf, const Shelf::Index& index, Bytes slice) {
  CardBook* best = nullptr;
  double least = 0;
  auto entry = index.lower_bound({slice, CardId()});
  while (entry != index.end()) {
    const Bytes free = entry->first;
    const double growth = unusable(shelf, free - slice) - unusable(shelf, free);
    if (!best || growth < least) {
      best = shelf.cards.at(entry->second);
      least = growth;
    }
    entry = index.lower_bound({free + Bytes(1), CardId()});
  }
  return best;
}

CardBook* choose(const Shelf& shelf, const Shelf::Index& index, Bytes slice) {
  return shelf.rule == CardRule::BestFit ? bestFit(shelf, index, slice)
                                         : leastFragmentation(shelf, index, slice);
}

// Collects leavers card by card until one card has room for the slice.
class Eviction {
 public:
  explicit Eviction(Bytes slice) : slice_(slice) {}

  // True: the instance's card now has room.
  bool offer(Instance& instance) {
    if (instance.card->lost) return false;
    auto [entry, added] = offers_.try_emplace(instance.card->id);
    Offer& offer = entry->second;
    if (added) offer.room = instance.card->promisable();
    offer.room += instance.function->slice;
    offer.victims.push_back(&instance);
    if (offer.room < slice_) return false;
    chosen_ = &instance;
    return true;
  }

  std::optional<Placement> result() {
    if (!chosen_) return std::nullopt;
    Offer& offer = offers_.at(chosen_->card->id);
    // Whoever came later in the order is spared first, if the rest suffices.
    for (std::size_t i = offer.victims.size(); i-- > 0;) {
      const Bytes without = offer.room - offer.victims[i]->function->slice;
      if (without < slice_) continue;
      offer.room = without;
      offer.victims.erase(offer.victims.begin() + static_cast<std::ptrdiff_t>(i));
    }
    return Placement{chosen_->card, std::move(offer.victims)};
  }

 private:
  struct Offer {
    Bytes room;
    std::vector<Instance*> victims;
  };
  const Bytes slice_;
  std::map<CardId, Offer> offers_;
  Instance* chosen_ = nullptr;
};

// Of its account, by its weight.
std::int64_t accountShare(const Function& function) {
  const auto& holdings = function.shelf->holdings;
  const auto found = holdings.find(function.account->id);
  return found == holdings.end() ? 0 : found->second.count() / function.account->weight;
}

// Max-min: a place is taken from who has more, and would not have less than who took it.
bool mayTake(const Function& function, const Function& from) {
  if (function.account == from.account) {
    const std::int64_t holds = cardShare(function);
    return holds == 0 || holds + function.slice.count() / function.weight <= cardShare(from);
  }
  const std::int64_t holds = accountShare(function);
  return holds == 0 ||
         holds + function.slice.count() / function.account->weight <= accountShare(from);
}

// Of those that are there for expected requests. One that wakes does not yet: it would be lost.
bool mayLeave(const Instance& ahead) {
  return ahead.starting() || ahead.isIdle();
}

std::optional<Placement> evict(const Function& function, YieldRule readyBefore) {
  const Shelf& shelf = *function.shelf;
  Eviction eviction(function.slice);
  for (Instance* i = shelf.ahead.front(); i; i = shelf.ahead.next(*i)) {
    if (mayLeave(*i) && eviction.offer(*i)) return eviction.result();
  }
  for (Instance* i = shelf.idle.front(); i; i = shelf.idle.next(*i)) {
    if (i->ahead) continue;
    if (eviction.offer(*i)) return eviction.result();
  }
  if (!readyBefore) return std::nullopt;
  for (Instance* i = shelf.serving.front(); i; i = shelf.serving.next(*i)) {
    if (i->readySince > *readyBefore) break;
    if (i->isIdle() || i->function == &function) continue;
    if (!mayTake(function, *i->function)) continue;
    if (eviction.offer(*i)) return eviction.result();
  }
  return std::nullopt;
}

// Its own busy instances are what the function lacks more of; an idle one of its own has no room
// only because it is unhealthy, and may go.
template <typename List>
Instance* firstOutside(const List& list, const Function& function,
                       const std::vector<Instance*>& leaving) {
  for (Instance* i = list.front(); i; i = list.next(*i)) {
    if (i->function == &function && !i->isIdle()) continue;
    if (std::ranges::find(leaving, i) == leaving.end()) return i;
  }
  return nullptr;
}

// The one of the two that is earlier in `order`; either may be null.
template <typename Order>
Instance* earlier(Instance* a, Instance* b, Order order) {
  if (!a || !b) return a ? a : b;
  return std::pair(order(*a), a->id) < std::pair(order(*b), b->id) ? a : b;
}

}  // namespace

std::int64_t cardShare(const Function& function) {
  if (!function.pool) return 0;
  const InstancePool& pool = *function.pool;
  return (pool.placing() + pool.starting() + pool.serving()) * function.slice.count() /
         function.weight;
}

CardBook* bookableCard(const Shelf& shelf, Bytes slice) {
  return choose(shelf, shelf.byBookable, slice);
}

std::optional<Placement> placeSlice(const Function& function, YieldRule readyBefore) {
  const Shelf& shelf = *function.shelf;
  if (CardBook* card = bookableCard(shelf, function.slice)) return Placement{card, {}};
  if (CardBook* card = choose(shelf, shelf.byPromisable, function.slice)) {
    return Placement{card, {}};
  }
  return evict(function, readyBefore);
}

Instance* pickForQuota(const Function& function, QuotaKind kind, YieldRule readyBefore,
                       const std::vector<Instance*>& leaving) {
  const Account& account = *function.account;
  const bool any = kind == QuotaKind::AllInstances;
  for (Instance* i = account.ahead.front(); i; i = account.ahead.next(*i)) {
    if (!mayLeave(*i) || !(any || i->card)) continue;
    if (std::ranges::find(leaving, i) == leaving.end()) return i;
  }
  Instance* idle = earlier(firstOutside(account.idleGpu, function, leaving),
                           any ? firstOutside(account.idleCpu, function, leaving) : nullptr,
                           [](const Instance& i) { return i.idleSince; });
  if (any) {
    if (Instance* parked = firstOutside(account.parked, function, leaving)) return parked;
  }
  if (idle || !readyBefore) return idle;
  Instance* busy = earlier(firstOutside(account.servingGpu, function, leaving),
                           any ? firstOutside(account.servingCpu, function, leaving) : nullptr,
                           [](const Instance& i) { return i.readySince; });
  return busy && busy->readySince <= *readyBefore ? busy : nullptr;
}

}  // namespace okibi::planner
