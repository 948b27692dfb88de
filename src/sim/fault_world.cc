#include "sim/fault_world.h"

#include <algorithm>
#include <map>
#include <set>
#include <variant>

#include "base/random.h"
#include "planner/law_checker.h"
#include "planner/planner.h"
#include "sim/metered_world.h"

namespace okibi::sim {
namespace {

using namespace planner;

struct Options {
  int cards, functions, accounts, arrivals;
  double startFailure, crash, ailing, cancel, broken, timeout, cardLoss, runtimeLoss, replace,
      retire, parkFailure, wakeFailure, keep, cap, keptOnly, session;
  Duration arrivalGap, serviceMax, startMax, stopMax, deadlineMax;
  PlannerConfig config;
  // Functions that are called by timers, so many times each, every one, two or three `beat`s; each
  // pause up to `jitter` of it shorter or longer. 0: no rhythms.
  int timers, rounds;
  Duration beat;
  double jitter, meddle;
  bool crowded;  // many small slices of few cards, for functions of different weights
};

// Worlds with rhythms, in which instances come ahead of requests; the others are as they would be
// without them.
bool hasRhythms(std::uint64_t seed) {
  return seed % 16 == 4;
}

// Worlds in which functions of an account wait for the same cards, and weights say who is next.
bool isCrowded(std::uint64_t seed) {
  return seed % 16 == 6;
}

// Swarm: each fault is off in half of the worlds and of very different weight in the others.
double faultChance(Random& random, double max) {
  return random.chance(0.5) ? 0.0 : max * random.fraction() * random.fraction();
}

Duration between(Random& random, Duration low, Duration high) {
  return Duration(random.between(low.count(), high.count()));
}

// What is to be learned takes a few dozen rounds, and functions that come to rest between them.
void drawRhythms(Random& random, Options& o) {
  o.cards = static_cast<int>(random.between(1, 5));
  o.timers = static_cast<int>(random.between(1, 4));
  o.functions = std::max(o.functions, o.timers);
  o.rounds = static_cast<int>(random.between(16, 36));
  o.beat = between(random, 22s, 90s);
  o.jitter = random.chance(0.3) ? 0 : 0.04 * random.fraction();
  o.meddle = random.chance(0.2) ? 0 : 0.5 * random.fraction();
  o.arrivals = static_cast<int>(random.between(0, 40));
  o.serviceMax = between(random, 1ms, 5s);
  o.startMax = between(random, 1ms, random.chance(0.7) ? 3s : 10s);
  o.config.keepAlive = random.chance(0.8) ? KeepAlivePolicy::Learned : KeepAlivePolicy::Histogram;
}

// Cards are what is short there: no quota, and no line that is as good as an instance.
void drawCrowd(Random& random, Options& o) {
  o.crowded = true;
  o.cards = static_cast<int>(random.between(1, 3));
  o.functions = static_cast<int>(random.between(3, 6));
  o.accounts = random.chance(0.5) ? 1 : 2;
  o.arrivals = static_cast<int>(random.between(100, 250));
  o.arrivalGap = between(random, 1ms, 1s);
  o.serviceMax = between(random, 1s, 20s);
  o.config.cardQuota = o.config.instanceQuota = 100;
  o.config.startBurst = o.config.startGrowth = 300;
  if (random.chance(0.7)) o.config.scaleOut = ScaleOut::PerRequest;
  o.config.refuseEarly = random.chance(0.5);
}

Options draw(Random& random, std::uint64_t seed) {
  Options o{};
  o.cards = static_cast<int>(random.between(0, 5));
  o.functions = static_cast<int>(random.between(1, 8));
  o.accounts = static_cast<int>(random.between(1, 3));
  o.arrivals = static_cast<int>(random.between(20, 150));
  o.startFailure = faultChance(random, 0.6);
  o.crash = faultChance(random, 0.3);
  o.ailing = faultChance(random, 0.3);
  o.cancel = faultChance(random, 0.4);
  o.broken = faultChance(random, 0.2);
  o.timeout = faultChance(random, 0.2);
  o.cardLoss = faultChance(random, 0.05);
  o.runtimeLoss = faultChance(random, 0.03);
  o.replace = faultChance(random, 0.1);
  o.retire = faultChance(random, 0.05);
  o.keep = faultChance(random, 0.3);
  o.cap = faultChance(random, 0.2);
  o.keptOnly = faultChance(random, 0.5);
  o.session = faultChance(random, 0.5);
  o.parkFailure = faultChance(random, 0.3);
  o.wakeFailure = faultChance(random, 0.3);
  o.arrivalGap = between(random, 1ms, random.chance(0.4) ? 20s : 2s);
  o.serviceMax = between(random, 1ms, 20s);
  o.startMax = between(random, 1ms, 10s);
  o.stopMax = between(random, 1ms, 3s);
  o.deadlineMax = between(random, 1s, 60s);
  o.config.cardQuota = static_cast<int>(random.between(1, 6));
  o.config.instanceQuota = static_cast<int>(random.between(1, 10));
  o.config.queuePerFunction = static_cast<std::size_t>(random.between(2, 60));
  if (random.chance(0.4)) o.config.cardTurns = static_cast<int>(random.between(1, 3));
  o.config.yieldAfter = between(random, 100ms, 12s);
  if (random.chance(0.3)) o.config.scaleOut = ScaleOut::PerRequest;
  o.config.waitMarginPercent = static_cast<int>(random.between(-100, 100));
  if (random.chance(0.3)) {
    o.config.startBurst = static_cast<int>(random.between(1, 5));
    o.config.startGrowth = static_cast<int>(random.between(1, 200));
  }
  const double policy = random.fraction();
  if (policy < 0.4) o.config.keepAlive = KeepAlivePolicy::Learned;
  if (policy > 0.8) o.config.keepAlive = KeepAlivePolicy::Histogram;
  o.config.histogramRange = std::chrono::minutes(random.between(1, 10));
  if (random.chance(0.7)) o.config.hostMemory = Bytes::gib(random.between(1, 40));
  if (hasRhythms(seed)) drawRhythms(random, o);
  if (isCrowded(seed)) drawCrowd(random, o);
  return o;
}

class World {
 public:
  explicit World(std::uint64_t seed)
      : random_(seed),
        weights_(~seed),
        weigh_(faultChance(weights_, 0.3)),
        options_(draw(random_, seed)),
        planner_(options_.config),
        checker_(options_.config) {}

  CheckResult run() {
    CheckResult result;
    result.violation = play();
    result.steps = steps_;
    result.dispatched = dispatched_;
    result.woken = woken_;
    result.ahead = ahead_;
    result.aheadLost = aheadLost_;
    result.contested = contested_;
    return result;
  }

 private:
  // Empty: all laws held. Otherwise the first violation.
  std::string play() {
    populate();
    while (!due_.empty() && ok()) {
      auto next = due_.extract(due_.begin());
      now_ = next.key().first;
      const Due& due = next.mapped();
      if (std::get_if<InvocationArrived>(&due.event)) disturb();
      for (int i = 0; i < due.disturbances; ++i) disturb();
      if (++steps_ > 200'000) return "does not come to rest";
      step(due.event);
    }
    if (ok()) checker_.expectRest();
    if (ok()) metered_.expectRest();
    if (ok() && !planner_.atRest()) return "planner is not at rest";
    for (const auto* broken : {&checker_.violations(), &metered_.violations()}) {
      if (!broken->empty()) return broken->front();
    }
    return {};
  }

  bool ok() const { return checker_.violations().empty() && metered_.violations().empty(); }

  struct Due {
    Event event;
    int disturbances = 0;  // before it, whatever it is
  };

  void schedule(Duration delay, Event event, int disturbances = 0) {
    due_.emplace(std::pair(now_ + delay, ++sequence_), Due{std::move(event), disturbances});
  }
  void arrive(Duration delay, FunctionKey function = {}) {
    schedule(delay, InvocationArrived{InvocationId(), function, Instant()});
  }

  void populate() {
    for (int i = 0; i < options_.cards; ++i) addCard();
    for (int i = 0; i < options_.functions; ++i) step(FunctionAdded{drawPlan(), std::nullopt});
    for (int i = 1; i <= options_.accounts; ++i) weighAccount(fmt::format("a{}", i));
    if (options_.timers > 0) return populateByTimers();
    Duration at{};
    for (int i = 0; i < options_.arrivals; ++i) {
      // Bursts: half of the requests come together with the one before.
      if (random_.chance(0.5)) at += between(random_, 0ns, options_.arrivalGap);
      arrive(at);
    }
    if (random_.chance(0.2)) schedule(at / 2, DrainStarted{});
  }

  // Timers, and others whose requests come at any time, or when those of timers do.
  void populateByTimers() {
    Duration end{};
    for (int i = 0; i < options_.timers; ++i) {
      const Duration pause = options_.beat * random_.between(1, 3);
      const auto jitter =
          Duration(static_cast<std::int64_t>(options_.jitter * static_cast<double>(pause.count())));
      Duration at = between(random_, 0s, 5s);
      for (int round = 0; round < options_.rounds; ++round) {
        arrive(at, keys_[static_cast<std::size_t>(i)]);
        at += pause + between(random_, -jitter, jitter);
      }
      end = std::max(end, at);
    }
    for (int i = 0; i < options_.arrivals; ++i) {
      Duration at = between(random_, 0s, end);
      if (random_.chance(0.5)) at = at / options_.beat * options_.beat + between(random_, 0s, 6s);
      arrive(at);
    }
    if (random_.chance(0.1)) schedule(end * 2 / 3, DrainStarted{});
  }

  void addCard() {
    const char* type = random_.chance(0.7) || options_.crowded ? "big" : "small";
    const Bytes memory = Bytes::gib(type[0] == 'b' ? 16 : 8);
    cards_.push_back({CardId(++lastCard_), "SIM", type, memory, CardOrigin::Simulated});
    step(CardAdded{cards_.back()});
  }

  FunctionPlan drawPlan() {
    FunctionPlan plan;
    plan.key = FunctionKey(++lastFunction_);
    // Several revisions of one function: a cap counts them together.
    plan.name = fmt::format("f{}", random_.between(1, 6));
    if (random_.chance(options_.keptOnly)) plan.demand = FunctionPlan::Demand::KeptOnly;
    plan.account = fmt::format("a{}", random_.between(1, options_.accounts));
    if (random_.chance(0.7)) {
      plan.gpu = GpuConfig{random_.chance(0.8) ? "big" : "small",
                           Bytes::gib(random_.between(1, random_.chance(0.5) ? 16 : 4))};
    }
    if (random_.chance(0.3)) plan.weight = static_cast<int>(random_.between(1, 5));
    plan.concurrency = random_.chance(0.5) ? 1 : static_cast<int>(random_.between(2, 8));
    plan.idleTimeout = between(random_, 1s, 30s);
    if (random_.chance(0.2)) plan.freezeAfter = std::nullopt;
    if (random_.chance(0.6)) plan.parkAfter = between(random_, 0ns, random_.chance(0.5) ? 1s : 10s);
    if (random_.chance(0.5)) plan.afterAbandon = AfterAbandon::ReplaceInstance;
    if (options_.timers > 0 && plan.parkAfter) {
      // Parked from one time to the next, if there is room for it.
      plan.parkAfter = between(random_, 0s, 15s);
      plan.idleTimeout = between(random_, 30s, 10min);
    }
    if (options_.crowded) {
      plan.demand = FunctionPlan::Demand::Starts;
      plan.gpu = GpuConfig{"big", Bytes::gib(random_.between(1, 5))};
      plan.weight = static_cast<int>(random_.between(1, 8));
      plan.concurrency = static_cast<int>(random_.between(1, 2));
    }
    keys_.push_back(plan.key);
    groups_.emplace_back(plan.account, plan.name);
    return plan;
  }

  // Whatever may go wrong, beside an arrival.
  void disturb() {
    if (random_.chance(options_.cardLoss) && !cards_.empty()) {
      const auto index = static_cast<std::size_t>(
          random_.between(0, static_cast<std::int64_t>(cards_.size()) - 1));
      const Card card = cards_[index];
      step(CardLost{card.id});
      // Some come back, some are replaced; what no card can serve must be refused at its deadline.
      if (random_.chance(0.5)) schedule(between(random_, 0s, 5s), CardAdded{card});
      cards_.erase(cards_.begin() + static_cast<std::ptrdiff_t>(index));
    }
    if (random_.chance(options_.runtimeLoss) && !runtimeDown_) {
      runtimeDown_ = true;
      ready_.clear();
      step(RuntimeLost{{ErrorKind::Unavailable, "launcher ended", {}}});
      schedule(between(random_, 0s, 5s), RuntimeRestored{});
    }
    const auto some =
        static_cast<std::size_t>(random_.between(0, static_cast<std::int64_t>(keys_.size()) - 1));
    const FunctionKey old = keys_[some];
    if (random_.chance(options_.replace)) {
      const FunctionPlan plan = drawPlan();
      successors_[old] = plan.key;
      step(FunctionAdded{plan, old});
    } else if (random_.chance(options_.retire)) {
      step(FunctionRetired{old});
    }
    if (random_.chance(options_.keep)) {
      const auto rest =
          random_.chance(0.5) ? MinimumChanged::Rest::Frozen : MinimumChanged::Rest::Running;
      step(MinimumChanged{old, static_cast<int>(random_.between(0, 4)), rest});
      schedule(between(random_, 0s, 60s), MinimumChanged{old});
    }
    if (weights_.chance(weigh_)) {
      step(WeightChanged{old, static_cast<int>(weights_.between(1, 100))});
      weighAccount(groups_[some].first);
    }
    if (random_.chance(options_.cap)) {
      const auto& [account, name] = groups_[some];
      step(CapChanged{account, name, static_cast<int>(random_.between(0, 3))});
      schedule(between(random_, 0s, 60s), CapChanged{account, name, std::nullopt});
    }
    if (random_.chance(options_.ailing) && !ready_.empty()) {
      const auto index = static_cast<std::size_t>(
          random_.between(0, static_cast<std::int64_t>(ready_.size()) - 1));
      step(InstanceHealthChanged{ready_[index],
                                 random_.chance(0.6) ? Health::Unhealthy : Health::Healthy});
    }
    if (random_.chance(options_.session) && !ready_.empty()) openSession();
    if (random_.chance(options_.crash) && !ready_.empty()) {
      const auto index = static_cast<std::size_t>(
          random_.between(0, static_cast<std::int64_t>(ready_.size()) - 1));
      step(InstanceGone{ready_[index], {ErrorKind::Internal, "crashed", {}}});
    }
  }

  void weighAccount(const std::string& account) {
    if (!options_.crowded) return;
    const auto weight = static_cast<int>(weights_.between(1, 8));
    step(QuotaChanged{account, options_.config.cardQuota, options_.config.instanceQuota, 0, 0,
                      weight});
  }

  void openSession() {
    const auto index =
        static_cast<std::size_t>(random_.between(0, static_cast<std::int64_t>(ready_.size()) - 1));
    const InstanceId id = ready_[index];
    const auto sessions = [&] {
      const auto view = planner_.instance(id);
      return view ? view->sessions : 0;
    };
    const int before = sessions();
    step(SessionOpened{id});
    if (sessions() > before) schedule(between(random_, 0s, 60s), SessionClosed{id});
  }

  void step(Event event) {
    if (!ok()) return;
    if (auto* arrival = std::get_if<InvocationArrived>(&event)) {
      arrival->invocation = InvocationId(++lastInvocation_);
      arrival->function = calledFunction(arrival->function);
      arrival->deadline = now_ + between(random_, 0ns, options_.deadlineMax);
      if (random_.chance(options_.cancel)) {
        schedule(between(random_, 0ns, options_.serviceMax + options_.startMax),
                 InvocationCancelled{arrival->invocation});
      }
    }
    if (std::get_if<RuntimeRestored>(&event)) runtimeDown_ = false;
    if (auto* card = std::get_if<CardAdded>(&event); card && cards_.size() < 16) {
      if (std::ranges::find(cards_, card->card.id, &Card::id) == cards_.end()) {
        cards_.push_back(card->card);
      }
    }
    if (auto* ready = std::get_if<InstanceReady>(&event)) ready_.push_back(ready->instance);
    if (auto* gone = std::get_if<InstanceGone>(&event)) std::erase(ready_, gone->instance);
    countLost(event);
    std::vector<Command> commands;
    planner_.step(now_, event, commands);
    planner_.checkInvariants();
    const std::vector<FunctionView> functions = planner_.activeFunctions();
    checker_.observe(now_, event, commands, planner_.instances(), functions);
    if (std::ranges::any_of(functions, &FunctionView::forCards)) {
      contested_ += static_cast<int>(std::ranges::count_if(commands, [](const Command& command) {
        return std::holds_alternative<StartInstance>(command);
      }));
    }
    metered_.step(now_, event, commands);
    for (const Command& command : commands) {
      std::visit([this](const auto& c) { obey(c); }, command);
    }
  }

  // What a timer calls is the newest of its revisions; others call any function, retired ones too.
  FunctionKey calledFunction(FunctionKey byTimer) {
    if (byTimer == FunctionKey()) {
      return keys_[static_cast<std::size_t>(
          random_.between(0, static_cast<std::int64_t>(keys_.size()) - 1))];
    }
    for (auto next = successors_.find(byTimer); next != successors_.end();
         next = successors_.find(byTimer)) {
      byTimer = next->second;
    }
    return byTimer;
  }

  // An instance comes for a request that is expected. Much may happen while it does.
  void comeAhead(InstanceId instance) {
    ++ahead_;
    unused_.insert(instance);
    if (!random_.chance(options_.meddle)) return;
    schedule(between(random_, 0ns, 2 * options_.startMax), TimerFired{},
             static_cast<int>(random_.between(1, 8)));
  }
  void loseAhead(InstanceId instance) { aheadLost_ += static_cast<int>(unused_.erase(instance)); }
  void countLost(const Event& event) {
    if (const auto* failed = std::get_if<InstanceStartFailed>(&event)) loseAhead(failed->instance);
    if (const auto* gone = std::get_if<InstanceGone>(&event)) loseAhead(gone->instance);
    if (!std::get_if<RuntimeLost>(&event)) return;
    aheadLost_ += static_cast<int>(unused_.size());
    unused_.clear();
  }

  void obey(const Dispatch& command) {
    ++dispatched_;
    unused_.erase(command.instance);
    Outcome outcome = Outcome::Completed;
    if (random_.chance(options_.broken)) outcome = Outcome::InstanceBroken;
    if (random_.chance(options_.timeout)) outcome = Outcome::TimedOut;
    schedule(between(random_, 0ns, options_.serviceMax),
             InvocationEnded{command.invocation, outcome});
  }
  void obey(const StartInstance& command) {
    if (command.ahead) comeAhead(command.instance);
    if (random_.chance(options_.startFailure)) {
      const Duration after = between(random_, 0ns, options_.startMax);
      const Error error{ErrorKind::Unavailable, "exec failed", "FunctionNotStarted"};
      if (random_.chance(0.5)) {
        schedule(after, InstanceStartFailed{command.instance, error});
      } else {
        schedule(after, InstanceGone{command.instance, error});
      }
      return;
    }
    const Duration started = between(random_, 0ns, options_.startMax);
    if (random_.chance(0.9)) schedule(started, InstanceStarted{command.instance});
    schedule(started + between(random_, 1ns, options_.startMax), InstanceReady{command.instance});
  }
  void obey(const StopInstance& command) {
    if (command.reason == StopReason::IdleTimeout) {
      unused_.erase(command.instance);  // nobody came
    } else {
      loseAhead(command.instance);
    }
    schedule(between(random_, 0ns, options_.stopMax), InstanceGone{command.instance, {}});
  }
  void obey(const WakeAt& command) {
    // Clocks are late, sometimes by much, and sometimes a little early.
    Duration delay = command.time - now_;
    if (random_.chance(0.1)) delay += between(random_, 0ns, 3s);
    if (random_.chance(0.1)) schedule(delay / 2, TimerFired{});
    schedule(delay, TimerFired{});
  }
  void obey(const Refuse&) {}
  void obey(const Abort&) {}
  void obey(const Park& command) {
    unused_.erase(command.instance);
    const Duration after = between(random_, 0ns, options_.stopMax);
    if (random_.chance(options_.parkFailure)) {
      schedule(after, InstanceParkFailed{command.instance, {ErrorKind::Internal, "no", {}}});
    } else {
      schedule(after, InstanceParked{command.instance});
    }
  }
  void obey(const Wake& command) {
    ++woken_;
    if (command.ahead) comeAhead(command.instance);
    const Duration after = between(random_, 0ns, options_.startMax);
    if (random_.chance(options_.wakeFailure)) {
      schedule(after, InstanceGone{command.instance, {ErrorKind::Internal, "lost", {}}});
    } else {
      schedule(after, InstanceWoken{command.instance});
    }
  }
  void obey(const EndSessions&) {}
  void obey(const Freeze&) {}
  void obey(const Thaw&) {}

  Random random_;
  Random weights_;  // of changes of weight: a stream of its own, seeds keep their worlds
  const double weigh_;
  const Options options_;
  Planner planner_;
  LawChecker checker_;
  MeteredWorld metered_;
  Instant now_{};
  std::map<std::pair<Instant, std::uint64_t>, Due> due_;
  std::uint64_t sequence_ = 0, lastInvocation_ = 0, lastFunction_ = 0, lastCard_ = 0;
  std::vector<FunctionKey> keys_;
  std::vector<std::pair<std::string, std::string>> groups_;  // of each key
  std::vector<Card> cards_;
  std::map<FunctionKey, FunctionKey> successors_;  // of replaced ones
  std::vector<InstanceId> ready_;
  std::set<InstanceId> unused_;  // of those that came ahead
  bool runtimeDown_ = false;
  int steps_ = 0;
  int dispatched_ = 0;
  int woken_ = 0;
  int ahead_ = 0, aheadLost_ = 0;
  int contested_ = 0;
};

}  // namespace

CheckResult checkSeed(std::uint64_t seed) {
  return World(seed).run();
}

}  // namespace okibi::sim
