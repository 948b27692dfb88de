#pragma once
// The laws of docs/architecture.md, checked from outside: it sees only the events that went in and
// the commands that came out, keeps its own books, and trusts nothing of the planner's.

#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/ids.h"
#include "base/units.h"
#include "planner/command.h"
#include "planner/event.h"
#include "planner/plan.h"
#include "planner/view.h"

namespace okibi::planner {

class LawChecker {
 public:
  explicit LawChecker(PlannerConfig config = {}) : config_(config) {}

  // One step of the planner. The views are of its state after the step; used only for what no
  // command tells: which instances are draining or promised, which functions wait in a line.
  void observe(Instant now, const Event& event, const std::vector<Command>& commands,
               const std::vector<InstanceView>& views,
               const std::vector<FunctionView>& functions = {});

  // Law 9, when all is over.
  void expectRest();

  // What was broken, in words; empty: nothing.
  const std::vector<std::string>& violations() const { return violations_; }

 private:
  static constexpr int kTurnsEach = 8;
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

  void hear(const FunctionAdded& event);
  void hear(const FunctionRetired& event);
  void hear(const MinimumChanged& event);
  void hear(const CapChanged& event);
  void hear(const QuotaChanged& event);
  void hear(const InvocationArrived& event);
  int staying(FunctionKey function) const;
  void checkCap(const FunctionPlan& plan);
  void checkSlice(const Function& function, const StartInstance& command);
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

  void see(const Dispatch& command);
  void see(const Refuse& command);
  void see(const Abort& command);
  void see(const StartInstance& command);
  void see(const StopInstance& command);
  void see(const EndSessions& command);
  void see(const Freeze& command);
  void see(const Thaw& command);
  void see(const Park& command);
  void see(const Wake& command);
  void see(const WakeAt&) {}

  void checkStart(const StartInstance& command);
  void checkCards();
  void checkHostMemory();
  void checkQuota(const std::string& account);
  void checkGrowth(const std::string& account);
  void checkLineWait(const FunctionView& view, const std::vector<InstanceView>& instances);
  void countTurns(const std::vector<Command>& commands);
  void passOver(FunctionKey served);
  void checkTurns(const std::vector<InstanceView>& instances,
                  const std::vector<FunctionView>& functions);
  void becameReady(Instance& instance);
  void noteFailure(const Instance& instance);
  void checkSessions(const InstanceView& view);
  void checkQueues();
  void leaveSlot(Request& request);
  void answer(InvocationId id, Request& request);
  void remove(InstanceId id);
  int computing(CardId card) const;
  bool hasRoom(const Instance& instance) const;
  static bool comes(Phase phase) { return phase == Phase::Starting || phase == Phase::Waking; }
  Request* request(InvocationId id);
  template <typename... Args>
  void broken(int law, fmt::format_string<Args...> format, Args&&... args);

  const PlannerConfig config_;
  Instant now_{};
  FunctionKey fresh_;  // whose instance became ready or awake in this step
  std::map<FunctionKey, Function> functions_;
  std::map<std::pair<std::string, std::string>, std::optional<int>> caps_;  // by account and name
  std::map<InvocationId, Request> requests_;
  std::map<InstanceId, Instance> instances_;
  std::map<CardId, Bytes> cards_;
  struct Starts {
    int burst = 0, growth = 0;  // 0: as configured
    std::vector<Instant> times;
  };
  std::map<std::string, Starts> starts_;  // by account
  // Functions that wait for cards: how often another was served that asked for as much or more.
  struct Waiter {
    int passed = 0;
    int most = 0;      // waiters at once, meanwhile
    int promised = 0;  // instances that had been promised a card when it came
  };
  std::map<FunctionKey, Waiter> waiters_;
  std::vector<std::string> violations_;
};

}  // namespace okibi::planner
