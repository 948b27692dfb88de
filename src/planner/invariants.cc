// The laws of the state, recomputed from scratch and compared with what is kept.

#include "planner/claims.h"
#include "planner/core.h"

namespace okibi::planner {
namespace {

struct Sums {
  int held = 0, leaving = 0, promised = 0;
  void add(Claim claim) {
    if (claim == Claim::Promised) ++promised;
    if (claim == Claim::Held || claim == Claim::Leaving) ++held;
    if (claim == Claim::Leaving) ++leaving;
  }
  void check(const Allowance& allowance, const std::string& account) const {
    OKIBI_CHECK(
        allowance.held == held && allowance.leaving == leaving && allowance.promised == promised,
        "account {}: {}/{}/{} kept, {}/{}/{} counted", account, allowance.held, allowance.leaving,
        allowance.promised, held, leaving, promised);
    OKIBI_CHECK(held <= allowance.limit, "account {}: {} of {}", account, held, allowance.limit);
    OKIBI_CHECK(held - leaving + promised <= allowance.limit, "account {}: promised too much",
                account);
  }
};

// Memory by card as the instances have it.
struct CardSums {
  Bytes held, leaving, claimed;
};

// Who may make room for others is where they look for it, those before it having been there longer.
void checkRoomMaker(const Instance& instance) {
  const std::uint64_t id = instance.id.value();
  const bool mayGo = !instance.kept, onShelf = instance.function->shelf != nullptr;
  const bool serving = mayGo && instance.serving(), idle = mayGo && instance.isIdle();
  OKIBI_CHECK(instance.accountServing.linked == serving, "instance {}", id);
  OKIBI_CHECK(instance.shelfServing.linked == (serving && onShelf), "instance {}", id);
  OKIBI_CHECK(instance.accountIdle.linked == idle, "instance {}", id);
  OKIBI_CHECK(instance.shelfIdle.linked == (idle && onShelf), "instance {}", id);
  OKIBI_CHECK(instance.accountParked.linked == (mayGo && instance.state == InstanceState::Parked),
              "instance {}", id);
  for (const Instance* before : {instance.accountIdle.previous, instance.shelfIdle.previous}) {
    OKIBI_CHECK(!before || before->idleOrder < instance.idleOrder, "instance {}", id);
  }
  for (const auto* before : {instance.accountServing.previous, instance.shelfServing.previous}) {
    OKIBI_CHECK(!before || before->readySince <= instance.readySince, "instance {}", id);
  }
  const Instance* parkedBefore = instance.accountParked.previous;
  OKIBI_CHECK(!parkedBefore || parkedBefore->since <= instance.since, "instance {}", id);
}

void checkInstance(const Instance& instance) {
  const Function& function = *instance.function;
  const std::uint64_t id = instance.id.value();
  const auto inFlight = instance.inFlight.size();
  OKIBI_CHECK(inFlight <= static_cast<std::size_t>(function.concurrency),
              "instance {}: {} in flight, concurrency {}", id, inFlight, function.concurrency);
  const bool mayServe =
      instance.state == InstanceState::Ready || instance.state == InstanceState::Draining;
  OKIBI_CHECK(mayServe || instance.unused(), "instance {} is {} with {} in flight, {} sessions", id,
              toString(instance.state), inFlight, instance.sessions);
  OKIBI_CHECK(instance.state != InstanceState::Draining || !instance.unused(),
              "instance {} drains nothing", id);
  OKIBI_CHECK(instance.state != InstanceState::Gone, "instance {} is gone but kept", id);
  checkRoomMaker(instance);
  OKIBI_CHECK(instance.room.has_value() == function.pool->hasRoom(instance), "instance {}", id);
  const bool parked = instance.state == InstanceState::Parked;
  OKIBI_CHECK(!(instance.isIdle() || parked) || instance.timer, "instance {} would idle forever",
              id);
  OKIBI_CHECK(instance.parkedLink.linked == parked, "instance {}", id);
  if (instance.state == InstanceState::Stopping) return;  // parked before, or not
  OKIBI_CHECK((function.shelf && !parked) == (instance.card != nullptr), "instance {}", id);
  const bool inHostMemory = parked || instance.state == InstanceState::Parking ||
                            instance.state == InstanceState::Recalled ||
                            instance.state == InstanceState::Waking;
  OKIBI_CHECK(instance.hostMemory == (inHostMemory ? function.slice : Bytes()), "instance {}", id);
}

void checkQueue(const Function& function, Instant now) {
  const InstancePool& pool = *function.pool;
  std::size_t position = 0, overdue = 0;
  std::uint64_t last = 0;
  for (const Request* r = pool.queue.front(); r; r = RequestQueue::next(*r), ++position) {
    OKIBI_CHECK(!r->instance && r->function == &function, "request {}", r->id.value());
    OKIBI_CHECK(r->arrival > last, "request {} is out of order", r->id.value());
    OKIBI_CHECK(r->deadline > now || (r->overdue && position < pool.startingSlots()),
                "request {} waits {} ns past its deadline", r->id.value(),
                (now - r->deadline).count());
    overdue += r->overdue ? 1 : 0;
    last = r->arrival;
  }
  OKIBI_CHECK(overdue == pool.queue.overdue(), "function {}", function.key.value());
  OKIBI_CHECK(pool.queue.empty() || !pool.fullestWithRoom(),
              "function {}: {} wait while instance {} has room", function.key.value(),
              pool.queue.size(), pool.fullestWithRoom()->id.value());
  OKIBI_CHECK(!pool.hasSpare(function.minimum),
              "function {} keeps a placing instance it does not need", function.key.value());
}

}  // namespace

// An instance for an expected request: the function's only one, unused, and known to who may take
// its place.
void Planner::Core::checkAhead(const Function& function) {
  const Instance* ahead = function.pool->ahead;
  OKIBI_CHECK(ahead || !function.habits || !function.habits->spare, "function {}",
              function.key.value());
  if (!ahead) return;
  OKIBI_CHECK(ahead->ahead && ahead->function == &function && ahead->unused() && !ahead->kept,
              "instance {}", ahead->id.value());
  OKIBI_CHECK(ahead->accountAhead.linked && ahead->shelfAhead.linked == (function.shelf != nullptr),
              "instance {}", ahead->id.value());
  OKIBI_CHECK(ahead->starting() || ahead->serving() || ahead->state == InstanceState::Waking,
              "instance {} is {}", ahead->id.value(), toString(ahead->state));
}

void Planner::Core::checkInvariants() const {
  OKIBI_CHECK(unsettled_.empty() && dirtyAccounts_.empty() && dirtyShelves_.empty() &&
              maybeAsleep_.empty());
  std::map<std::string, std::pair<Sums, Sums>> byAccount;  // all, GPU
  std::map<CardId, CardSums> byCard;
  std::size_t inFlight = 0;
  Bytes host, hostLeaving;
  for (const auto& [id, instance] : instances_) {
    checkInstance(instance);
    inFlight += instance.inFlight.size();
    auto& [all, gpu] = byAccount[instance.function->account->name];
    all.add(quotaClaim(instance.state));
    host += instance.hostMemory;
    if (instance.state == InstanceState::Stopping) hostLeaving += instance.hostMemory;
    if (!instance.card) continue;
    const Claim claim = cardClaim(instance.state, true);
    gpu.add(claim);
    CardSums& card = byCard[instance.card->id];
    const Bytes slice = instance.function->slice;
    if (claim == Claim::Promised) card.claimed += slice;
    if (claim == Claim::Held || claim == Claim::Leaving) card.held += slice;
    if (claim == Claim::Leaving) card.leaving += slice;
  }
  OKIBI_CHECK(host == hostHeld_ && hostLeaving == hostLeaving_ && host <= config_.hostMemory,
              "host memory: {} kept, {} counted, {} there", hostHeld_.count(), host.count(),
              config_.hostMemory.count());
  for (const auto& [name, account] : accounts_) {
    byAccount[name].first.check(account.instances, name);
    byAccount[name].second.check(account.cards, name);
  }
  checkHoldings();
  ledger_.check();
  for (const auto& [id, card] : ledger_.cards()) {
    const CardSums& sums = byCard[id];
    OKIBI_CHECK(
        card.held == sums.held && card.leaving == sums.leaving && card.claimed == sums.claimed,
        "card {}: {}/{}/{} kept", id.value(), card.held.count(), card.leaving.count(),
        card.claimed.count());
    OKIBI_CHECK(!card.turns.hasWaiting() || !card.turns.computing().empty(),
                "card {}: requests wait for a turn nobody has", id.value());
    byCard.erase(id);
  }
  OKIBI_CHECK(byCard.empty(), "slices on {} unknown cards", byCard.size());
  checkFunctions(inFlight);
}

void Planner::Core::checkHoldings() const {
  std::map<std::pair<std::string, std::uint64_t>, Bytes> counted;
  for (const auto& [id, instance] : instances_) {
    if (!instance.card) continue;
    const Claim claim = cardClaim(instance.state, true);
    if (claim != Claim::Promised && claim != Claim::Held) continue;
    counted[{instance.function->shelf->type, instance.function->account->id}] +=
        instance.function->slice;
  }
  for (const auto& [type, shelf] : ledger_.shelves()) {
    for (const auto& [account, bytes] : shelf.holdings) {
      OKIBI_CHECK((bytes == counted[{type, account}]), "account {} holds {} of {}", account,
                  bytes.count(), type);
    }
  }
}

void Planner::Core::checkFunctions(std::size_t inFlight) const {
  std::size_t queued = 0, live = 0;
  for (const auto& [key, function] : functions_) {
    OKIBI_CHECK(!function.retired || function.pool, "function {} is retired but kept", key.value());
    if (!function.pool) continue;
    const InstancePool& pool = *function.pool;
    OKIBI_CHECK(!pool.empty(), "function {} sleeps with a pool", key.value());
    OKIBI_CHECK(pool.instances.size() == static_cast<std::size_t>(pool.total()), "function {}",
                key.value());
    queued += pool.queue.size();
    live += pool.instances.size();
    checkQueue(function, now_);
    checkAhead(function);
    checkWaiting(function);
  }
  OKIBI_CHECK(queued + inFlight == requests_.size(), "{} queued, {} in flight, {} known", queued,
              inFlight, requests_.size());
  OKIBI_CHECK(live == instances_.size(), "{} in pools, {} known", live, instances_.size());
}

// Who needs an instance waits in one line, and for something that really is lacking.
void Planner::Core::checkWaiting(const Function& function) const {
  const InstancePool& pool = *function.pool;
  const std::uint64_t key = function.key.value();
  OKIBI_CHECK((wanted(function) > 0) == (pool.line != nullptr), "function {} wants {}", key,
              wanted(function));
  OKIBI_CHECK(pool.patient <= pool.queue.size(), "function {}", key);
  OKIBI_CHECK(pool.patient == 0 || pool.ripeTimer, "function {} would wait in line forever", key);
  OKIBI_CHECK(!pool.yieldTimer || pool.line, "function {}", key);
  if (!pool.line) return;
  OKIBI_CHECK(pool.line->contains(*pool.place, function), "function {}", key);
  OKIBI_CHECK(pool.yieldTimer, "function {} would wait forever", key);
  if (runtimeDown_) return;
  std::optional<Placement> placement;
  if (function.shelf) placement = placeSlice(function, std::nullopt);
  std::vector<Instance*> victims;
  if (placement) victims = placement->victims;
  const bool quota = makeQuota(function, std::nullopt, victims) == Shortage::None;
  const bool starts = toRecall(function) || mayStart(*function.account);
  OKIBI_CHECK(!quota || !starts || (function.shelf && !placement),
              "function {} waits though there is room", key);
}

}  // namespace okibi::planner
