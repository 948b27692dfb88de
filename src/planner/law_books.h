#pragma once
// What the laws are judged by: books of requests, instances and functions, kept from nothing but
// the events that went into the planner and the commands that came out. They trust nothing of the
// planner's own; its views are used for what no command tells.

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/ids.h"
#include "base/units.h"
#include "planner/command.h"
#include "planner/event.h"
#include "planner/plan.h"
#include "planner/view.h"

namespace okibi::planner {

class LawBooks {
 public:
  enum class Place { Queued, Dispatched, Answered };
  struct Request {
    FunctionKey function;
    Place place = Place::Queued;
    InstanceId instance;
    Instant deadline;
  };
  enum class Phase { Starting, Ready, Frozen, Parking, Parked, Waking, Stopping };
  struct Instance {
    FunctionKey function;
    Phase phase = Phase::Starting;
    std::optional<Slice> slice;
    int inFlight = 0;
    int sessions = 0;
    bool sessionsEnding = false;  // EndSessions was seen
    bool draining = false;        // before the step
    bool willDrain = false;       // after it
    Health health = Health::Healthy;
    bool recalled = false;  // after it: it waits for a card to wake on
    Instant since;          // it has been starting or waking
    Bytes hostMemory;       // while parked, and on the way there and back
  };
  struct Function {
    FunctionPlan plan;
    struct Waiting {
      Instant deadline, arrived;
    };
    std::map<InvocationId, Waiting> queued;
    int starting = 0;
    int minimum = 0;
    Duration longestStart{};  // or wake
    int failures = 0;         // starts that failed since the last that did not
  };
  struct Starts {
    int burst = 0, growth = 0;  // 0: as configured
    std::vector<Instant> times;
  };

  explicit LawBooks(PlannerConfig config) : config(config) {}

  // Of one step: the event is heard; each command is seen, in order; then the step is over. The
  // views are of the planner's state after it. What makes no sense changes nothing.
  void begin(Instant now, const Event& event, const std::vector<InstanceView>& views);
  void see(const Command& command);
  void end(const std::vector<InstanceView>& views);

  const Request* request(InvocationId id) const;
  const Instance* instance(InstanceId id) const;
  const Function& functionOf(const Instance& instance) const {
    return functions.at(instance.function);
  }
  // The request waits, and its instance is there.
  bool accepts(const Dispatch& command) const;
  int weightOf(const std::string& account) const {
    const auto found = weights.find(account);
    return found == weights.end() ? 1 : found->second;
  }
  bool isCapped(const FunctionPlan& plan) const;
  // Instances of a function that are not on their way out.
  int staying(FunctionKey function) const;
  // Instances of the card that work on requests.
  int computing(CardId card) const;
  // Whether it could take one more request at once. Where cards have turns, an instance of a busy
  // card may have to wait for them.
  bool hasRoom(const Instance& instance) const;
  // Of a function's requests, those that instances on their way can serve.
  static std::size_t covered(const Function& function, int coming) {
    return static_cast<std::size_t>(coming) * static_cast<std::size_t>(function.plan.concurrency);
  }

  template <typename... Args>
  void broken(int law, fmt::format_string<Args...> format, Args&&... args) {
    violations.push_back(
        fmt::format("law {}: {}", law, fmt::format(format, std::forward<Args>(args)...)));
  }

  const PlannerConfig config;
  Instant now{};
  FunctionKey fresh;  // whose instance became ready or awake in this step
  std::map<FunctionKey, Function> functions;
  std::map<std::pair<std::string, std::string>, std::optional<int>> caps;  // by account and name
  std::map<InvocationId, Request> requests;
  std::map<InstanceId, Instance> instances;
  std::map<CardId, Bytes> cards;
  std::map<std::string, Starts> starts;  // by account
  std::map<std::string, int> weights;    // of accounts; none: 1
  std::vector<std::string> violations;

 private:
  void hear(const FunctionAdded& event);
  void hear(const FunctionRetired& event);
  void hear(const WeightChanged& event);
  void hear(const MinimumChanged& event);
  void hear(const CapChanged& event);
  void hear(const QuotaChanged& event);
  void hear(const InvocationArrived& event);
  void hear(const InvocationEnded& event);
  void hear(const InvocationCancelled& event);
  void hear(const InstanceReady& event);
  void hear(const InstanceStartFailed& event);
  void hear(const InstanceGone& event);
  void hear(const InstanceHealthChanged& event);
  void hear(const SessionOpened& event);
  void hear(const SessionClosed& event);
  void hear(const InstanceParked& event);
  void hear(const InstanceWoken& event);
  void hear(const CardAdded& event);
  void hear(const RuntimeLost& event);
  template <typename Other>
  void hear(const Other&) {}

  void apply(const Dispatch& command);
  void apply(const Refuse& command);
  void apply(const Abort& command);
  void apply(const StartInstance& command);
  void apply(const StopInstance& command);
  void apply(const EndSessions& command);
  void apply(const Freeze& command);
  void apply(const Thaw& command);
  void apply(const Park& command);
  void apply(const Wake& command);
  void apply(const WakeAt&) {}

  Instance* find(InstanceId id, Phase phase);
  void answer(InvocationId id, Request& request);
  void becameReady(Instance& instance);
  void noteFailure(const Instance& instance);
  void remove(InstanceId id);
};

}  // namespace okibi::planner
