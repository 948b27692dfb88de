// Law 10, of weights: the next slice goes to the account that holds least for its weight, of those
// with functions that wait for such cards, and of these to the function that holds least for its
// own. Excepted is who has been passed over for eight turns for each that waits: it is owed one.

#include <algorithm>
#include <set>

#include "planner/law.h"

namespace okibi::planner {
namespace {

class ShareLaws : public Law {
 public:
  explicit ShareLaws(LawBooks& books) : books_(books) {}

  void atEnd(const LawStep& step) override {
    std::map<FunctionKey, Standing> now = standingsAfter(step);
    for (const auto& [served, standing] : now) {
      if (standing.given <= standing.taken || standing.waitedElsewhere) continue;
      for (const auto& [waiting, other] : now) {
        if (!isRival(served, waiting, other)) continue;
        if (planOf(served).account == planOf(waiting).account) {
          compare(served, standing, waiting, now);
        } else {
          compareAccounts(served, standing, waiting, now);
        }
      }
    }
    standings_ = std::move(now);
  }

 private:
  // What a function has of its cards, and how that changed in the last step.
  struct Standing {
    int holds = 0;  // instances that have a card or are promised one
    int given = 0, taken = 0;
    bool waits = false;                            // for cards
    bool waitsElsewhere = false;                   // for a quota, or the runtime
    bool waited = false, waitedElsewhere = false;  // before the step
    int turns = 0;  // slices given to anybody while it waited, since it was given one
  };

  static bool holdsCard(const InstanceView& instance) {
    switch (instance.state) {
      case InstanceState::Parking:
      case InstanceState::Parked:
      case InstanceState::Draining:
      case InstanceState::Stopping:
      case InstanceState::Gone:
        return false;
      default:
        return true;
    }
  }

  const FunctionPlan& planOf(FunctionKey key) { return books_.functions[key].plan; }

  std::map<FunctionKey, Standing> standingsAfter(const LawStep& step) {
    std::map<FunctionKey, Standing> now;
    for (const FunctionView& view : step.functions) {
      if (!planOf(view.key).gpu) continue;
      Standing& standing = now[view.key];
      standing.waits = view.forCards;
      standing.waitsElsewhere = view.inLine && !view.forCards;
      const auto before = standings_.find(view.key);
      if (before == standings_.end()) continue;
      standing.waited = before->second.waits;
      standing.waitedElsewhere = before->second.waitsElsewhere;
      if (standing.waited) standing.turns = before->second.turns;
    }
    countHolders(step, now);
    return now;
  }

  // Who comes for an expected request takes nothing from those who wait (laws_ahead.cc).
  static std::set<InstanceId> expectedIn(const LawStep& step) {
    std::set<InstanceId> expected;
    for (const Command& command : step.commands) {
      if (const auto* start = std::get_if<StartInstance>(&command)) {
        if (start->ahead) expected.insert(start->instance);
      } else if (const auto* wake = std::get_if<Wake>(&command)) {
        if (wake->ahead) expected.insert(wake->instance);
      }
    }
    return expected;
  }

  void countHolders(const LawStep& step, std::map<FunctionKey, Standing>& now) {
    const std::set<InstanceId> expected = expectedIn(step);
    std::map<InstanceId, FunctionKey> holders;
    std::map<std::string, int> given;  // by type of card
    for (const InstanceView& instance : step.instances) {
      if (!planOf(instance.function).gpu || !holdsCard(instance)) continue;
      ++now[instance.function].holds;
      holders.emplace(instance.id, instance.function);
      if (holders_.contains(instance.id) || expected.contains(instance.id)) continue;
      ++now[instance.function].given;
      ++given[planOf(instance.function).gpu->type];
    }
    for (const auto& [id, function] : holders_) {
      if (!holders.contains(id)) ++now[function].taken;
    }
    holders_ = std::move(holders);
    for (auto& [key, standing] : now) {
      if (standing.waited || standing.waits) standing.turns += given[planOf(key).gpu->type];
    }
  }

  // Whether it waited for such a card as well, before the step and after it, and nothing else
  // became of it in between.
  bool isRival(FunctionKey served, FunctionKey waiting, const Standing& other) {
    const FunctionPlan &plan = planOf(served), &rival = planOf(waiting);
    return served != waiting && other.waited && other.waits && other.given + other.taken == 0 &&
           plan.gpu->type == rival.gpu->type && rival.gpu->memory <= plan.gpu->memory;
  }

  // By its weight, of `count` instances; rounded as the planner does, so that equals are equals.
  static std::int64_t shareOf(const FunctionPlan& plan, int count) {
    return count * plan.gpu->memory.count() / plan.weight;
  }

  void compare(FunctionKey served, const Standing& standing, FunctionKey waiting,
               const std::map<FunctionKey, Standing>& now) {
    const std::int64_t before = shareOf(planOf(served), standing.holds - 1);
    const std::int64_t rival = shareOf(planOf(waiting), now.at(waiting).holds);
    if (before <= rival || standing.turns >= kTurnsEach * waitersFor(served, now)) return;
    books_.broken(10,
                  "function {}: given a slice when it held {} for its weight, while function {} "
                  "waited with {}",
                  served.value(), before, waiting.value(), rival);
  }

  // What all functions of an account have of one type of cards.
  struct Holding {
    std::int64_t bytes = 0;
    int given = 0, taken = 0;
  };
  Holding holdingOf(const FunctionPlan& like, const std::map<FunctionKey, Standing>& now) {
    Holding sum;
    for (const auto& [key, standing] : now) {
      const FunctionPlan& plan = planOf(key);
      if (plan.account != like.account || plan.gpu->type != like.gpu->type) continue;
      sum.bytes += standing.holds * plan.gpu->memory.count();
      sum.given += standing.given;
      sum.taken += standing.taken;
    }
    return sum;
  }

  void compareAccounts(FunctionKey served, const Standing& standing, FunctionKey waiting,
                       const std::map<FunctionKey, Standing>& now) {
    const FunctionPlan &plan = planOf(served), &rival = planOf(waiting);
    const Holding holding = holdingOf(plan, now), other = holdingOf(rival, now);
    // When several things happened in a step, it is not seen what came first.
    if (holding.given != 1 || other.given + other.taken > 0) return;
    const std::int64_t before =
        (holding.bytes - plan.gpu->memory.count()) / books_.weightOf(plan.account);
    const std::int64_t least = other.bytes / books_.weightOf(rival.account);
    if (before <= least || standing.turns >= kTurnsEach * waitersFor(served, now)) return;
    books_.broken(10,
                  "account {}: given a slice when it held {} for its weight, while account {} "
                  "waited with {}",
                  plan.account, before, rival.account, least);
  }

  // For the same cards, itself among them: the fewest at any time of the step. Of those before it
  // some may have been served first.
  int waitersFor(FunctionKey served, const std::map<FunctionKey, Standing>& now) {
    const std::string& type = planOf(served).gpu->type;
    const auto count = [&](const std::map<FunctionKey, Standing>& standings) {
      return static_cast<int>(std::ranges::count_if(standings, [&](const auto& entry) {
        return (entry.second.waits || entry.first == served) &&
               planOf(entry.first).gpu->type == type;
      }));
    };
    return std::min(count(standings_), count(now));
  }

  LawBooks& books_;
  std::map<FunctionKey, Standing> standings_;
  std::map<InstanceId, FunctionKey> holders_;
};

}  // namespace

std::unique_ptr<Law> shareLaws(LawBooks& books) {
  return std::make_unique<ShareLaws>(books);
}

}  // namespace okibi::planner
