// Laws 1 and 5: no card's slices exceed its memory (a slice is held until its instance is gone or
// parked), nor parked instances the host's; cards, instances, the pace of starts and caps never
// exceed quota.

#include "planner/law.h"

namespace okibi::planner {
namespace {

class CapacityLaws : public Law {
 public:
  explicit CapacityLaws(LawBooks& books) : books_(books) {}

  void before(const Command& command) override {
    if (const auto* start = std::get_if<StartInstance>(&command)) {
      const FunctionPlan& plan = books_.functions[start->function].plan;
      checkCap(plan);
      checkSlice(start->instance, plan, start->slice);
    } else if (const auto* wake = std::get_if<Wake>(&command)) {
      if (const LawBooks::Instance* instance = books_.instance(wake->instance)) {
        checkSlice(wake->instance, books_.functionOf(*instance).plan, wake->slice);
      }
    }
  }

  void after(const Command& command) override {
    if (const auto* start = std::get_if<StartInstance>(&command)) {
      const std::string& account = books_.functions[start->function].plan.account;
      checkCards();
      checkQuota(account);
      checkGrowth(account);
    } else if (const auto* wake = std::get_if<Wake>(&command)) {
      const LawBooks::Instance* instance = books_.instance(wake->instance);
      if (!instance || instance->phase != LawBooks::Phase::Waking) return;
      checkCards();
      checkQuota(books_.functionOf(*instance).plan.account);
    } else if (std::get_if<Park>(&command)) {
      checkHostMemory();
    } else if (const auto* dispatch = std::get_if<Dispatch>(&command)) {
      checkTurns(*dispatch);
    }
  }

 private:
  void checkCap(const FunctionPlan& plan) {
    if (!books_.isCapped(plan)) return;
    int alive = 0;
    for (const auto& [id, instance] : books_.instances) {
      const FunctionPlan& other = books_.functionOf(instance).plan;
      if (other.account == plan.account && other.name == plan.name) ++alive;
    }
    if (alive < *books_.caps[{plan.account, plan.name}]) return;
    books_.broken(5, "function {}: {} instances already", plan.name, alive);
  }

  void checkSlice(InstanceId id, const FunctionPlan& plan, const std::optional<Slice>& slice) {
    const bool fits = plan.gpu ? slice && slice->memory == plan.gpu->memory : !slice;
    if (!fits) books_.broken(1, "instance {} has the wrong slice", id.value());
  }

  void checkCards() {
    std::map<CardId, Bytes> used;
    for (const auto& [id, instance] : books_.instances) {
      if (instance.slice) used[instance.slice->card] += instance.slice->memory;
    }
    for (const auto& [card, bytes] : used) {
      const Bytes memory = books_.cards[card];
      if (bytes <= memory) continue;
      books_.broken(1, "card {}: {} of {} GB", card.value(), bytes.wholeGib(), memory.wholeGib());
    }
  }

  void checkHostMemory() {
    Bytes used;
    for (const auto& [id, instance] : books_.instances) used += instance.hostMemory;
    if (used <= books_.config.hostMemory) return;
    books_.broken(1, "host memory: {} of {} GB", used.wholeGib(),
                  books_.config.hostMemory.wholeGib());
  }

  // Who has waited for a start longer than it would for a turn is served at once.
  void checkTurns(const Dispatch& command) {
    const int most = books_.config.cardTurns;
    const LawBooks::Instance* instance = books_.instance(command.instance);
    const LawBooks::Request* request = books_.request(command.invocation);
    if (most == 0 || !instance || !request || request->place != LawBooks::Place::Dispatched) return;
    if (!instance->slice || instance->inFlight != 1 || request->deadline < books_.now) return;
    const CardId card = instance->slice->card;
    const int computing = books_.computing(card);
    if (computing <= most) return;
    books_.broken(1, "card {} computes for {} instances", card.value(), computing);
  }

  void checkQuota(const std::string& account) {
    int all = 0, gpu = 0;
    for (const auto& [id, instance] : books_.instances) {
      if (books_.functionOf(instance).plan.account != account) continue;
      ++all;
      gpu += instance.slice ? 1 : 0;
    }
    if (gpu > books_.config.cardQuota) {
      books_.broken(5, "account {}: {} GPU instances", account, gpu);
    }
    if (all > books_.config.instanceQuota) {
      books_.broken(5, "account {}: {} instances", account, all);
    }
  }

  // In no stretch of time are more instances started than the burst and what has grown since its
  // beginning.
  void checkGrowth(const std::string& account) {
    const LawBooks::Starts& starts = books_.starts[account];
    const std::int64_t burst = starts.burst > 0 ? starts.burst : books_.config.startBurst;
    const std::int64_t growth = starts.burst > 0 ? starts.growth : books_.config.startGrowth;
    if (burst == 0) return;
    const auto count = static_cast<std::int64_t>(starts.times.size());
    for (std::int64_t i = 0; i < count; ++i) {
      const Duration passed = books_.now - starts.times[static_cast<std::size_t>(i)];
      constexpr std::int64_t kMinute = Duration(std::chrono::minutes(1)).count();
      if (count - i <= burst + passed.count() * growth / kMinute) continue;
      return books_.broken(5, "account {}: {} instances started in {} ms", account, count - i,
                           passed / std::chrono::milliseconds(1));
    }
  }

  LawBooks& books_;
};

}  // namespace

std::unique_ptr<Law> capacityLaws(LawBooks& books) {
  return std::make_unique<CapacityLaws>(books);
}

}  // namespace okibi::planner
