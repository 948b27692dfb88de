// Plays a scenario: what the conductor and the machine do, with the faults it names.

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include <fmt/format.h>

#include "base/random.h"
#include "planner/law_checker.h"
#include "planner/planner.h"
#include "sim/parse.h"
#include "sim/scenario.h"

namespace okibi::sim {
namespace {

using namespace planner;

constexpr int kStepsMost = 1'000'000;

// What became of the requests and instances of one function, or of all.
struct Counts {
  std::map<std::string, double> of;
  double waitSum = 0;
  std::vector<std::string> refusals;
};

class Play {
 public:
  explicit Play(const Scenario& scenario)
      : scenario_(scenario),
        planner_(scenario.config),
        checker_(scenario.config),
        random_(1),
        failing_(scenario.functions.size()),
        counts_(scenario.functions.size() + 1) {}

  ScenarioResult run() {
    begin();
    for (const ScenarioEvent& event : scenario_.events) {
      playUntil(event.at);
      now_ = std::max(now_, event.at);
      happen(event);
    }
    while (!due_.empty() && sound()) playUntil(due_.begin()->first.first);
    if (sound()) checker_.expectRest();
    if (sound() && !planner_.atRest()) result_.failures.emplace_back("it does not come to rest");
    for (const std::string& broken : checker_.violations()) result_.failures.push_back(broken);
    for (const Expectation& expectation : scenario_.expectations) {
      if (!judged_.contains(&expectation)) judge(expectation);
    }
    result_.served = static_cast<int>(counts_.back().of["served"]);
    result_.refused = static_cast<int>(counts_.back().of["refused"]);
    return std::move(result_);
  }

 private:
  bool sound() const { return checker_.violations().empty() && result_.steps < kStepsMost; }

  void begin() {
    std::uint64_t id = 0;
    for (const CardGroup& group : scenario_.fleet.cards) {
      for (int i = 0; i < group.count; ++i) {
        cards_.push_back({CardId(++id), "SIM", group.type, group.memory, CardOrigin::Simulated});
        step(CardAdded{cards_.back()});
      }
    }
    for (const ScenarioFunction& function : scenario_.functions) {
      step(FunctionAdded{function.plan, std::nullopt});
    }
  }

  void playUntil(Instant time) {
    while (!due_.empty() && due_.begin()->first.first <= time && sound()) {
      auto next = due_.extract(due_.begin());
      now_ = next.key().first;
      step(next.mapped());
    }
  }

  void schedule(Duration delay, Event event) {
    due_.emplace(std::pair(now_ + delay, ++sequence_), std::move(event));
  }

  const FunctionPlan& planOf(std::size_t function) const {
    return scenario_.functions[function].plan;
  }
  static std::size_t indexOf(FunctionKey key) { return key.value() - 1; }

  void happen(const ScenarioEvent& event) {
    using Kind = ScenarioEvent::Kind;
    const FunctionPlan* plan =
        event.function < scenario_.functions.size() ? &planOf(event.function) : nullptr;
    switch (event.kind) {
      case Kind::Arrive:
        return arrive(event);
      case Kind::Keep:
        return step(MinimumChanged{plan->key, event.number});
      case Kind::Weigh:
        return step(WeightChanged{plan->key, event.number});
      case Kind::Cap:
        return step(CapChanged{plan->account, plan->name,
                               event.number < 0 ? std::nullopt : std::optional<int>(event.number)});
      case Kind::Retire:
        return step(FunctionRetired{plan->key});
      case Kind::Crash:
        return crash(plan->key);
      case Kind::Fail:
        failing_[event.function] += event.number;
        return;
      case Kind::Lose:
        return step(CardLost{CardId(static_cast<std::uint64_t>(event.number))});
      case Kind::Add:
        return step(CardAdded{cards_[static_cast<std::size_t>(event.number) - 1]});
      case Kind::RuntimeLost:
        loseRuntime();
        return;
      case Kind::RuntimeRestored:
        return step(RuntimeRestored{});
      case Kind::Drain:
        return step(DrainStarted{});
      case Kind::Quota:
        return changeQuota(event);
      case Kind::Expect:
        return judge(scenario_.expectations[event.function]);
    }
  }

  void arrive(const ScenarioEvent& event) {
    const InvocationId id(++lastInvocation_);
    const ScenarioFunction& function = scenario_.functions[event.function];
    requests_[id] = {event.function, now_,
                     event.service.value_or(function.service.value_or(scenario_.service))};
    count(event.function, "arrived");
    step(InvocationArrived{id, function.plan.key, now_ + *event.deadline});
  }

  // The oldest of its instances that serves.
  void crash(FunctionKey key) {
    for (const InstanceView& view : planner_.instances()) {
      const bool serves = view.state == InstanceState::Ready ||
                          view.state == InstanceState::Frozen ||
                          view.state == InstanceState::Draining;
      if (view.function != key || !serves) continue;
      return step(InstanceGone{view.id, {ErrorKind::Unavailable, "it crashed", {}}});
    }
  }

  void loseRuntime() {
    // Nothing that was under way comes to anything.
    std::erase_if(
        due_, [](const auto& entry) { return !std::holds_alternative<TimerFired>(entry.second); });
    step(RuntimeLost{{ErrorKind::Unavailable, "the runtime ended", {}}});
  }

  void changeQuota(const ScenarioEvent& event) {
    const PlannerConfig& config = scenario_.config;
    auto& quota = quotas_[event.account];
    for (const auto& [key, value] : event.quota) quota[key] = value;
    const auto of = [&](const char* key, int otherwise) {
      const auto found = quota.find(key);
      return found == quota.end() ? otherwise : found->second;
    };
    step(QuotaChanged{event.account, of("cards", config.cardQuota),
                      of("instances", config.instanceQuota), of("burst", 0), of("growth", 0),
                      of("weight", 0)});
  }

  void step(const Event& event) {
    if (!sound()) return;
    ++result_.steps;
    std::vector<Command> commands;
    planner_.step(now_, event, commands);
    planner_.checkInvariants();
    checker_.observe(now_, event, commands, planner_.instances(), planner_.activeFunctions());
    for (const Command& command : commands) {
      std::visit([this](const auto& c) { obey(c); }, command);
    }
  }

  void count(std::size_t function, const std::string& what) {
    ++counts_[function].of[what];
    ++counts_.back().of[what];
  }
  void countWait(std::size_t function, double seconds) {
    for (Counts* counts : {&counts_[function], &counts_.back()}) {
      counts->waitSum += seconds;
      counts->of["wait-max"] = std::max(counts->of["wait-max"], seconds);
    }
  }

  void obey(const Dispatch& command) {
    const Request& request = requests_.at(command.invocation);
    count(request.function, "served");
    count(request.function, command.warmth == Warmth::Cold    ? "cold"
                            : command.warmth == Warmth::Woken ? "woken"
                                                              : "warm");
    countWait(request.function, toSeconds(now_ - request.arrived));
    schedule(request.service, InvocationEnded{command.invocation, Outcome::Completed});
  }
  void obey(const Refuse& command) {
    const std::size_t function = requests_.at(command.invocation).function;
    count(function, "refused");
    const std::string text = command.error.code + ": " + command.error.message;
    counts_[function].refusals.push_back(text);
    counts_.back().refusals.push_back(text);
  }
  void obey(const Abort& command) { count(requests_.at(command.invocation).function, "aborted"); }
  void obey(const StartInstance& command) {
    const std::size_t function = indexOf(command.function);
    functionOf_[command.instance] = function;
    count(function, "starts");
    if (command.ahead) count(function, "ahead");
    const Duration takes =
        scenario_.functions[function].start.value_or(scenario_.fleet.coldStart.sample(random_));
    if (failing_[function] > 0) {
      --failing_[function];
      return schedule(takes, InstanceStartFailed{command.instance,
                                                 {ErrorKind::Unavailable, "it exited with code 1",
                                                  "FunctionNotStarted"}});
    }
    schedule(takes, InstanceReady{command.instance});
  }
  void obey(const StopInstance& command) {
    count(functionOf_.at(command.instance), "stops");
    schedule(scenario_.fleet.stop.sample(random_), InstanceGone{command.instance, {}});
  }
  void obey(const Park& command) {
    schedule(scenario_.fleet.park.sample(random_), InstanceParked{command.instance});
  }
  void obey(const Wake& command) {
    count(functionOf_.at(command.instance), "wakes");
    if (command.ahead) count(functionOf_.at(command.instance), "ahead");
    schedule(scenario_.fleet.wake.sample(random_), InstanceWoken{command.instance});
  }
  void obey(const EndSessions&) {}  // nobody opens any
  void obey(const Freeze&) {}
  void obey(const Thaw&) {}
  void obey(const WakeAt& command) {
    schedule(std::max(command.time - now_, Duration::zero()), TimerFired{});
  }

  double measured(const Expectation& e) {
    const std::size_t index = e.function.value_or(scenario_.functions.size());
    if (e.what == "instances" || e.what == "parked" || e.what == "queued") return present(e);
    Counts& counts = counts_[index];
    if (e.what != "wait-mean") return counts.of[e.what];
    return counts.of["served"] > 0 ? counts.waitSum / counts.of["served"] : 0;
  }
  double present(const Expectation& e) const {
    double sum = 0;
    for (const FunctionView& view : planner_.activeFunctions()) {
      if (e.function && view.key != planOf(*e.function).key) continue;
      if (e.what == "queued") {
        sum += static_cast<double>(view.queued);
      } else {
        sum += e.what == "parked" ? view.parked : view.starting + view.serving;
      }
    }
    return sum;
  }

  void judge(const Expectation& e) {
    judged_.insert(&e);
    const std::string who = e.function ? planOf(*e.function).name : "all";
    if (e.test == Expectation::Test::Contains) {
      const auto& refusals = counts_[e.function.value_or(scenario_.functions.size())].refusals;
      const bool found = std::ranges::any_of(
          refusals, [&e](const std::string& text) { return text.contains(e.text); });
      if (found) return;
      return result_.failures.push_back(
          fmt::format("line {}: {}: no refusal says '{}'{}", e.line, who, e.text,
                      refusals.empty() ? "" : "; one is '" + refusals.front() + "'"));
    }
    constexpr double kExact = 1e-6;
    const double is = measured(e);
    const bool met = e.test == Expectation::Test::Equal    ? std::abs(is - e.value) <= kExact
                     : e.test == Expectation::Test::AtMost ? is <= e.value + kExact
                                                           : is >= e.value - kExact;
    if (met) return;
    result_.failures.push_back(
        fmt::format("line {}: {} {} is {:g}, not {}", e.line, who, e.what, is, e.text));
  }

  struct Request {
    std::size_t function = 0;
    Instant arrived;
    Duration service{};
  };

  const Scenario& scenario_;
  Planner planner_;
  LawChecker checker_;
  Random random_;
  Instant now_{};
  std::map<std::pair<Instant, std::uint64_t>, Event> due_;
  std::uint64_t sequence_ = 0, lastInvocation_ = 0;
  std::map<InvocationId, Request> requests_;
  std::map<InstanceId, std::size_t> functionOf_;
  std::vector<Card> cards_;
  std::vector<int> failing_;
  std::vector<Counts> counts_;  // by function; the last: of all
  std::map<std::string, std::map<std::string, int>> quotas_;
  std::set<const Expectation*> judged_;
  ScenarioResult result_;
};

}  // namespace

ScenarioResult play(const Scenario& scenario) {
  return Play(scenario).run();
}

}  // namespace okibi::sim
