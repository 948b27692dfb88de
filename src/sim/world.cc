#include "sim/world.h"

#include <algorithm>
#include <limits>
#include <queue>
#include <unordered_map>

#include "planner/planner.h"
#include "sim/parse.h"

namespace okibi::sim {
namespace {

using planner::Command;

constexpr Bytes kEndlessCard = Bytes::gib(1 << 30);
constexpr const char* kAnyCard = "any";

// Something that will happen by itself.
struct Coming {
  enum class Kind {
    RequestEnds,
    InstanceInitializes,
    InstanceReady,
    InstanceParked,
    InstanceWoken,
    InstanceGone
  };
  Instant at;
  std::uint64_t order = 0;
  Kind kind = Kind::RequestEnds;
  std::uint64_t id = 0;
  bool operator>(const Coming& other) const {
    return at != other.at ? at > other.at : order > other.order;
  }
};

// A request the planner has not let go of.
struct Open {
  Instant arrived;
  Duration service{}, cold{};
  std::uint32_t function = 0;
};

struct StartTime {
  Duration whole{}, init{};  // init: the end of it
};

struct Live {
  std::uint32_t function = 0;
  Use use = Use::Starting;
  Instant since;
  int inFlight = 0;
  bool timed = false;  // comes ahead of its request, so that this waits for it by the clock
};

planner::PlannerConfig configFor(const WorldOptions& options) {
  planner::PlannerConfig config;
  constexpr int kNoLimit = std::numeric_limits<int>::max() / 4;
  config.cardQuota = options.cardQuota > 0 ? options.cardQuota : kNoLimit;
  config.instanceQuota = kNoLimit;
  config.queuePerFunction = options.queue;
  config.cardTurns = options.cardTurns;
  if (options.policy.parkAfter) config.hostMemory = options.fleet.hostMemory;
  config.keepAlive = options.policy.kind;
  // In the literature's protocol nobody waits in line.
  const bool bound = options.protocol == Protocol::Bound;
  config.scaleOut = options.policy.scaleOut.value_or(bound ? planner::ScaleOut::PerRequest
                                                           : planner::ScaleOut::ExpectedWait);
  config.waitMarginPercent = options.policy.waitMarginPercent.value_or(config.waitMarginPercent);
  config.cardRule = options.policy.cardRule;
  config.refuseEarly = options.refuseEarly;
  config.startBurst = options.startBurst;
  config.startGrowth = options.startGrowth;
  if (options.policy.range > Duration::zero()) config.histogramRange = options.policy.range;
  return config;
}

class World {
 public:
  World(const WorldOptions& options, Workload& workload)
      : options_(options),
        workload_(workload),
        planner_(configFor(options)),
        random_(options.seed),
        begin_(Instant(options.lead)),
        horizon_(begin_ + workload.horizon()) {
    addCards();
  }

  Result<Tally> run() {
    if (Result<void> begun = workload_.rewind(); !begun) return fail(begun.error());
    Result<bool> more = nextArrival();
    if (options_.minimum > 0) introduceAll();
    while (true) {
      if (!more) return fail(more.error());
      const std::optional<Instant> arrival = *more ? std::optional(next_.at) : std::nullopt;
      if (advance(arrival)) continue;
      if (!arrival) break;
      arrive();
      more = nextArrival();
    }
    close();
    return std::move(tally_);
  }

 private:
  Result<bool> nextArrival() {
    Result<bool> more = workload_.next(next_);
    next_.at += options_.lead;
    return more;
  }

  void addCards() {
    std::vector<CardGroup> groups = options_.fleet.cards;
    if (groups.empty()) groups.push_back({1, kAnyCard, kEndlessCard});
    cardType_ = groups.front().type;
    std::uint64_t id = 0;
    for (const CardGroup& group : groups) {
      for (int i = 0; i < group.count; ++i) {
        step(Instant(), planner::CardAdded{{CardId(++id), "SIM", group.type, group.memory,
                                            CardOrigin::Simulated}});
      }
    }
  }

  // Lets the next thing happen that comes before the arrival (or, at the same time, must come
  // before it); false: the arrival is next, or all is over.
  bool advance(std::optional<Instant> arrival) {
    const std::optional<Instant> own =
        coming_.empty() ? std::nullopt : std::optional(coming_.top().at);
    if (own && (!arrival || *own <= *arrival) && (!wake_ || *own <= *wake_)) {
      happen();
      return true;
    }
    if (!wake_ || (arrival && *arrival <= *wake_)) return false;
    // After the last request only what the horizon still sees matters.
    if (!arrival && open_.empty() && coming_.empty() && *wake_ > horizon_) return false;
    const Instant at = *wake_;
    wake_.reset();
    step(at, planner::TimerFired{});
    return true;
  }

  void happen() {
    const Coming now = coming_.top();
    coming_.pop();
    switch (now.kind) {
      case Coming::Kind::RequestEnds:
        return endRequest(now.at, InvocationId(now.id));
      case Coming::Kind::InstanceInitializes:
        if (live_.contains(now.id)) options_.witness->initializing(InstanceId(now.id), now.at);
        return;
      case Coming::Kind::InstanceReady:
        return becomeReady(now);
      case Coming::Kind::InstanceParked:
        return turn(now, Use::Parked, planner::InstanceParked{InstanceId(now.id)});
      case Coming::Kind::InstanceWoken:
        return turn(now, Use::Idle, planner::InstanceWoken{InstanceId(now.id), wakeTook(now.id)});
      case Coming::Kind::InstanceGone: {
        auto found = live_.find(now.id);
        charge(found->second, now.at);
        countCard(found->second.use == Use::Parked ? 0 : -1);
        live_.erase(found);
        if (options_.witness) options_.witness->closed(InstanceId(now.id), now.at);
        return step(now.at, planner::InstanceGone{InstanceId(now.id), {}});
      }
    }
  }

  // An instance comes into another condition; one that was stopped meanwhile stays what it is.
  void turn(const Coming& now, Use use, planner::Event event) {
    const auto found = live_.find(now.id);
    if (found == live_.end()) return;
    setUse(found->second, use, now.at);
    step(now.at, std::move(event));
  }

  void becomeReady(const Coming& now) {
    turn(now, Use::Idle, planner::InstanceReady{InstanceId(now.id), startTook(now.id)});
    if (!options_.witness || !live_.contains(now.id)) return;
    const auto view = planner_.instance(InstanceId(now.id));
    const bool kept = view && view->kept;
    options_.witness->ready(InstanceId(now.id), kept ? Witness::Kept::Yes : Witness::Kept::No,
                            now.at);
  }

  // Protocol::Bound has the request wait on its instance, which is there at once unless it comes
  // ahead. Then what it would have taken is told.
  std::optional<Duration> startTook(std::uint64_t id) const {
    const auto found = live_.find(id);
    const bool bound = options_.protocol == Protocol::Bound;
    if (!bound || found == live_.end() || found->second.timed) return std::nullopt;
    return lastStart_[found->second.function].whole;
  }
  std::optional<Duration> wakeTook(std::uint64_t id) {
    const auto found = live_.find(id);
    const bool bound = options_.protocol == Protocol::Bound;
    if (!bound || found == live_.end() || found->second.timed) return std::nullopt;
    return options_.fleet.wake.sample(random_);
  }

  void endRequest(Instant at, InvocationId id) {
    const auto found = served_.find(id.value());
    Live& live = live_.at(found->second);
    served_.erase(found);
    if (options_.witness) options_.witness->ended(id, at);
    if (--live.inFlight == 0) setUse(live, Use::Idle, at);
    step(at, planner::InvocationEnded{id, planner::Outcome::Completed});
  }

  void arrive() {
    const std::uint32_t function = next_.function;
    if (function >= known_.size() || !known_[function]) introduce(function, next_.at);
    const InvocationId id(++lastRequest_);
    const Duration cold = next_.cold ? *next_.cold : options_.fleet.coldStart.sample(random_);
    lastStart_[function] = {cold, next_.init};
    open_[id.value()] = {next_.at, next_.service, cold, function};
    tally_.requests += weight(function);
    ++tally_.functions[function].requests;
    const bool hasty = options_.hasty > Duration::zero() && lastRequest_ % 4 == 0;
    const Duration deadline = hasty ? options_.hasty : options_.deadline;
    step(next_.at, planner::InvocationArrived{id, keyOf(function), next_.at + deadline});
  }

  static FunctionKey keyOf(std::uint32_t function) { return FunctionKey(function + 1); }
  double weight(std::uint32_t function) const { return workload_.functions()[function].weight; }

  // Their kept instances are there before the first request.
  void introduceAll() {
    for (std::uint32_t i = 0; i < workload_.functions().size(); ++i) introduce(i, Instant());
  }

  void introduce(std::uint32_t function, Instant at) {
    if (function >= known_.size()) {
      known_.resize(function + 1);
      lastStart_.resize(function + 1, {options_.lead, {}});
      tally_.functions.resize(function + 1);
    }
    known_[function] = true;
    planner::FunctionPlan plan;
    plan.key = keyOf(function);
    plan.account = "a";
    plan.name = workload_.functions()[function].name;
    plan.gpu = GpuConfig{cardType_, sliceOf(function)};
    plan.weight = workload_.functions()[function].part;
    plan.concurrency = options_.concurrency;
    // A request at the very end of a time counts as within it.
    plan.idleTimeout = options_.policy.idleTimeout + Duration(1);
    if (options_.policy.parkAfter) plan.parkAfter = *options_.policy.parkAfter + Duration(1);
    plan.freezeAfter = std::nullopt;
    step(at, planner::FunctionAdded{plan, std::nullopt});
    if (options_.minimum > 0) step(at, planner::MinimumChanged{plan.key, options_.minimum});
  }

  Bytes sliceOf(std::uint32_t function) const {
    const Bytes own = workload_.functions()[function].slice;
    return own > Bytes() ? own : options_.slice;
  }

  void step(Instant now, const planner::Event& event) {
    now_ = now;
    std::vector<Command> commands = std::move(spare_);
    commands.clear();
    planner_.step(now, event, commands);
    for (Command& command : commands) {
      std::visit([this](auto& c) { obey(c); }, command);
    }
    spare_ = std::move(commands);
  }

  void schedule(Duration delay, Coming::Kind kind, std::uint64_t id) {
    coming_.push({now_ + delay, ++lastOrder_, kind, id});
  }

  void obey(const planner::Dispatch& command) {
    const auto found = open_.find(command.invocation.value());
    const Open request = found->second;
    open_.erase(found);
    Live& live = live_.at(command.instance.value());
    if (live.inFlight++ == 0) setUse(live, Use::Busy, now_);
    served_[command.invocation.value()] = command.instance.value();
    Duration own = Duration::zero();  // what it waits on its instance
    if (options_.protocol == Protocol::Bound) {
      if (command.warmth == planner::Warmth::Cold && !live.timed) own = request.cold;
      if (command.warmth == planner::Warmth::Woken && !live.timed) {
        own = options_.fleet.wake.sample(random_);
      }
    }
    live.timed = false;
    count(request, command.warmth, now_ - request.arrived + own);
    if (options_.observe) options_.observe(command.invocation.value(), WorldOptions::Fate::Served);
    if (options_.witness) {
      options_.witness->began(command.invocation, command.instance, now_ - request.arrived, now_);
    }
    schedule(own + request.service, Coming::Kind::RequestEnds, command.invocation.value());
  }

  void count(const Open& request, planner::Warmth warmth, Duration wait) {
    const double w = weight(request.function);
    FunctionTally& function = tally_.functions[request.function];
    if (warmth == planner::Warmth::Cold) {
      tally_.cold += w;
      ++function.cold;
    } else if (warmth == planner::Warmth::Woken) {
      tally_.woken += w;
      ++function.woken;
    } else {
      tally_.warm += w;
    }
    tally_.waits.add(wait, w);
  }

  void obey(const planner::Refuse& command) {
    const auto found = open_.find(command.invocation.value());
    const std::uint32_t function = found->second.function;
    open_.erase(found);
    tally_.refused += weight(function);
    ++tally_.functions[function].refused;
    if (command.retryAfter) tally_.refusedEarly += weight(function);
    if (options_.observe) {
      options_.observe(command.invocation.value(), command.retryAfter
                                                       ? WorldOptions::Fate::RefusedEarly
                                                       : WorldOptions::Fate::Refused);
    }
    const Error& error = command.error;
    tally_.refusals[error.code.empty() ? std::string(toString(error.kind)) : error.code] +=
        weight(function);
  }

  void obey(const planner::Abort&) {}  // no instance is lost here

  void obey(const planner::StartInstance& command) {
    const auto function = static_cast<std::uint32_t>(command.function.value() - 1);
    live_[command.instance.value()] = {function, Use::Starting, now_, 0};
    ++tally_.starts;
    if (command.ahead) ++tally_.startsAhead;
    countCard(+1);
    if (options_.witness) options_.witness->opened(command.instance, now_);
    const StartTime& start = lastStart_[function];
    if (options_.protocol == Protocol::Bound && !command.ahead) {
      return schedule(Duration::zero(), Coming::Kind::InstanceReady, command.instance.value());
    }
    live_[command.instance.value()].timed = command.ahead;
    if (options_.witness && start.init > Duration::zero()) {
      schedule(start.whole - start.init, Coming::Kind::InstanceInitializes,
               command.instance.value());
    }
    schedule(start.whole, Coming::Kind::InstanceReady, command.instance.value());
  }

  void obey(const planner::StopInstance& command) {
    if (command.reason == planner::StopReason::MadeRoom) ++tally_.madeRoom;
    schedule(options_.fleet.stop.sample(random_), Coming::Kind::InstanceGone,
             command.instance.value());
  }

  void obey(const planner::Park& command) {
    ++tally_.parks;
    live_.at(command.instance.value()).timed = false;
    const bool atOnce = options_.protocol == Protocol::Bound;
    schedule(atOnce ? Duration::zero() : options_.fleet.park.sample(random_),
             Coming::Kind::InstanceParked, command.instance.value());
  }

  void obey(const planner::Wake& command) {
    ++tally_.wakes;
    if (command.ahead) ++tally_.wakesAhead;
    Live& live = live_.at(command.instance.value());
    setUse(live, Use::Starting, now_);
    live.timed = command.ahead;
    const bool atOnce = options_.protocol == Protocol::Bound && !command.ahead;
    schedule(atOnce ? Duration::zero() : options_.fleet.wake.sample(random_),
             Coming::Kind::InstanceWoken, command.instance.value());
  }

  void obey(const planner::EndSessions&) {}  // nobody opens any
  void obey(const planner::Freeze&) {}
  void obey(const planner::Thaw&) {}
  void obey(const planner::WakeAt& command) { wake_ = command.time; }

  void countCard(int change) {
    tally_.live += change;
    tally_.peak = std::max(tally_.peak, tally_.live);
  }

  void setUse(Live& live, Use use, Instant at) {
    charge(live, at);
    countCard((use != Use::Parked) - (live.use != Use::Parked));
    live.use = use;
  }

  // What an instance did until now, from the first arrival on. Only busy time counts beyond the
  // horizon.
  void charge(Live& live, Instant until) {
    const bool beyond = live.use == Use::Busy || live.use == Use::Starting;
    const Instant end = beyond ? until : std::min(until, horizon_);
    const Instant from = std::max(live.since, begin_);
    const double seconds = std::max(0.0, toSeconds(end - from)) * weight(live.function);
    const auto use = static_cast<std::size_t>(live.use);
    const double gib = static_cast<double>(sliceOf(live.function).wholeMib()) / 1024;
    tally_.seconds[use] += seconds;
    tally_.gbSeconds[use] += seconds * gib;
    live.since = until;
  }

  void close() {
    for (auto& [id, live] : live_) charge(live, std::max(horizon_, live.since));
  }

  const WorldOptions options_;
  Workload& workload_;
  planner::Planner planner_;
  Random random_;
  const Instant begin_, horizon_;
  Tally tally_;
  std::string cardType_;
  Instant now_{};
  Request next_;
  std::priority_queue<Coming, std::vector<Coming>, std::greater<>> coming_;
  std::optional<Instant> wake_;
  std::uint64_t lastOrder_ = 0, lastRequest_ = 0;
  std::unordered_map<std::uint64_t, Open> open_;             // by invocation
  std::unordered_map<std::uint64_t, std::uint64_t> served_;  // invocation to instance
  std::unordered_map<std::uint64_t, Live> live_;             // by instance
  std::vector<bool> known_;
  std::vector<StartTime> lastStart_;  // as the newest request says
  std::vector<Command> spare_;
};

}  // namespace

Result<Tally> simulate(const WorldOptions& options, Workload& workload) {
  return World(options, workload).run();
}

}  // namespace okibi::sim
