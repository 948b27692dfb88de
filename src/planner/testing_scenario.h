#pragma once
// The planner's rules as tables: one row per event, "seconds | event | commands it must cause, in
// order". A row of a table can be checked without reading C++.
//
//   card NAME TYPE GB             function NAME [gpu=TYPE:GB] [conc=N] [idle=S] [account=A]
//   lose CARD                              [freeze=S|never] [park=S] [replace-abandoned]
//   retire NAME                            [replaces=NAME] [weight=N]
//   weigh NAME N
//   cancel ID                     arrive ID NAME [wait=S]     end ID [timeout|broken]
//   ailing/well iN                started/ready/gone iN       failed iN MESSAGE
//   parked/woken iN               unparked iN MESSAGE (the park failed)
//   enter/leave iN (a session)    timer   drain   lost   restored
//
// Instances are i1, i2, … in the order the planner made them. Timers fire by themselves between
// rows and must then cause nothing; a row `timer` fires what is due at its time.

#include <cmath>
#include <map>
#include <sstream>

#include <gtest/gtest.h>

#include "planner/law_checker.h"
#include "planner/planner.h"

namespace okibi::planner::testing {

inline std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(' ');
  if (first == std::string::npos) return {};
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

inline Duration seconds(const std::string& text) {
  return Duration(std::llround(std::stod(text) * 1e9));
}

class Scenario {
 public:
  explicit Scenario(PlannerConfig config) : planner_(config), checker_(config) {}

  void run(const std::string& table) {
    std::istringstream lines(table);
    std::string line;
    while (std::getline(lines, line)) {
      if (trimmed(line).empty()) continue;
      std::istringstream cells(line);
      std::string at, event, expected;
      std::getline(cells, at, '|');
      std::getline(cells, event, '|');
      std::getline(cells, expected);
      row(Instant(seconds(at)), trimmed(event), trimmed(expected), line);
    }
  }

 private:
  void row(Instant at, const std::string& event, const std::string& expected,
           const std::string& line) {
    const bool timerRow = event == "timer";
    while (wake_ && (timerRow ? *wake_ < at : *wake_ <= at)) {
      const Instant due = *wake_;
      wake_.reset();
      EXPECT_EQ(step(due, TimerFired{}), "") << "a timer fired before: " << line;
    }
    if (timerRow) EXPECT_TRUE(wake_ && *wake_ == at) << "no timer is set for: " << line;
    EXPECT_EQ(step(at, parse(event, at)), expected) << line;
  }

  std::string step(Instant now, const Event& event) {
    std::vector<Command> commands;
    planner_.step(now, event, commands);
    planner_.checkInvariants();
    checker_.observe(now, event, commands, planner_.instances(), planner_.activeFunctions());
    EXPECT_TRUE(checker_.violations().empty()) << checker_.violations().front();
    std::string text;
    for (const Command& command : commands) {
      const std::string one = std::visit([&](const auto& c) { return tell(c); }, command);
      if (!one.empty()) text += (text.empty() ? "" : ", ") + one;
    }
    return text;
  }

  FunctionPlan parsePlan(std::istringstream& words, std::optional<FunctionKey>& replaces) {
    FunctionPlan plan;
    std::string word;
    words >> plan.name;
    plan.key = FunctionKey(functions_.size() + 1);
    functions_[plan.name] = plan.key;
    plan.account = "a";
    while (words >> word) {
      const std::string value = word.substr(word.find('=') + 1);
      if (word.starts_with("gpu=")) {
        const auto colon = value.find(':');
        plan.gpu =
            GpuConfig{value.substr(0, colon), Bytes::gib(std::stoi(value.substr(colon + 1)))};
      } else if (word.starts_with("conc=")) {
        plan.concurrency = std::stoi(value);
      } else if (word.starts_with("idle=")) {
        plan.idleTimeout = seconds(value);
      } else if (word.starts_with("account=")) {
        plan.account = value;
      } else if (word.starts_with("weight=")) {
        plan.weight = std::stoi(value);
      } else if (word.starts_with("park=")) {
        plan.parkAfter = seconds(value);
      } else if (word == "freeze=never") {
        plan.freezeAfter = std::nullopt;
      } else if (word.starts_with("freeze=")) {
        plan.freezeAfter = seconds(value);
      } else if (word == "kept-only") {
        plan.demand = FunctionPlan::Demand::KeptOnly;
      } else if (word == "replace-abandoned") {
        plan.afterAbandon = AfterAbandon::ReplaceInstance;
      } else if (word.starts_with("replaces=")) {
        replaces = functions_.at(value);
      } else {
        ADD_FAILURE() << "what is " << word;
      }
    }
    return plan;
  }

  Event parse(const std::string& text, Instant at) {
    std::istringstream words(text);
    std::string verb, name, rest;
    words >> verb;
    if (verb == "timer") return TimerFired{};
    if (verb == "drain") return DrainStarted{};
    if (verb == "lost") return RuntimeLost{{ErrorKind::Unavailable, "launcher ended", {}}};
    if (verb == "restored") return RuntimeRestored{};
    if (verb == "function") {
      std::optional<FunctionKey> replaces;
      const FunctionPlan plan = parsePlan(words, replaces);
      return FunctionAdded{plan, replaces};
    }
    words >> name;
    if (verb == "card") {
      std::string type;
      int gib = 0;
      words >> type >> gib;
      cards_[name] = CardId(cards_.size() + 1);
      return CardAdded{{cards_[name], "SIM", type, Bytes::gib(gib), CardOrigin::Simulated}};
    }
    if (verb == "lose") return CardLost{cards_.at(name)};
    if (verb == "keep") {
      int minimum = 0;
      words >> minimum >> rest;
      return MinimumChanged{
          functions_.at(name), minimum,
          rest == "frozen" ? MinimumChanged::Rest::Frozen : MinimumChanged::Rest::Running};
    }
    if (verb == "weigh") {
      int weight = 0;
      words >> weight;
      return WeightChanged{functions_.at(name), weight};
    }
    if (verb == "cap") {
      std::string most;
      words >> most;
      if (most == "none") return CapChanged{"a", name, std::nullopt};
      return CapChanged{"a", name, std::stoi(most)};
    }
    if (verb == "retire") return FunctionRetired{functions_.at(name)};
    if (verb == "arrive" || verb == "end" || verb == "cancel") {
      return parseInvocation(verb, InvocationId(std::stoull(name)), words, at);
    }
    const InstanceId instance(std::stoull(name.substr(1)));
    std::getline(words, rest);
    if (verb == "started") return InstanceStarted{instance};
    if (verb == "ready") return InstanceReady{instance};
    if (verb == "ailing") return InstanceHealthChanged{instance, Health::Unhealthy};
    if (verb == "well") return InstanceHealthChanged{instance, Health::Healthy};
    if (verb == "enter") return SessionOpened{instance};
    if (verb == "leave") return SessionClosed{instance};
    if (verb == "parked") return InstanceParked{instance};
    if (verb == "woken") return InstanceWoken{instance};
    const Error error{ErrorKind::Unavailable, trimmed(rest), "FunctionNotStarted"};
    if (verb == "failed") return InstanceStartFailed{instance, error};
    if (verb == "unparked") return InstanceParkFailed{instance, error};
    EXPECT_EQ(verb, "gone");
    return InstanceGone{instance, error};
  }

  Event parseInvocation(const std::string& verb, InvocationId id, std::istringstream& words,
                        Instant at) {
    std::string word;
    words >> word;
    if (verb == "cancel") return InvocationCancelled{id};
    if (verb == "end") {
      return InvocationEnded{id, word == "timeout"  ? Outcome::TimedOut
                                 : word == "broken" ? Outcome::InstanceBroken
                                                    : Outcome::Completed};
    }
    Duration wait = 60s;
    const FunctionKey function = functions_.at(word);
    if (words >> word) wait = seconds(word.substr(word.find('=') + 1));
    return InvocationArrived{id, function, at + wait};
  }

  std::string tell(const Dispatch& c) {
    const char* warmth[] = {"warm", "thawed", "woken", "cold"};
    return fmt::format("dispatch {} i{} {}{}", c.invocation.value(), c.instance.value(),
                       warmth[static_cast<int>(c.warmth)],
                       c.reason.empty() ? "" : " (" + c.reason + ")");
  }
  std::string tell(const Refuse& c) {
    return fmt::format("refuse {} {} ({})", c.invocation.value(),
                       c.error.code.empty() ? toString(c.error.kind) : c.error.code,
                       c.error.message);
  }
  std::string tell(const Abort& c) {
    return fmt::format("abort {} i{} ({})", c.invocation.value(), c.instance.value(),
                       c.error.message);
  }
  std::string tell(const StartInstance& c) {
    const std::string slice =
        c.slice ? fmt::format(" c{}:{}", c.slice->card.value(), c.slice->memory.wholeGib()) : "";
    return fmt::format("start i{}{} ({})", c.instance.value(), slice, c.reason);
  }
  std::string tell(const StopInstance& c) {
    return fmt::format("stop i{} {}{}", c.instance.value(), toString(c.reason),
                       c.preStop == PreStop::Skip ? " no-hook" : "");
  }
  std::string tell(const EndSessions& c) {
    return fmt::format("end sessions i{}", c.instance.value());
  }
  std::string tell(const Freeze& c) { return fmt::format("freeze i{}", c.instance.value()); }
  std::string tell(const Thaw& c) { return fmt::format("thaw i{}", c.instance.value()); }
  std::string tell(const Park& c) { return fmt::format("park i{}", c.instance.value()); }
  std::string tell(const Wake& c) {
    return fmt::format("wake i{} c{}:{}", c.instance.value(), c.slice.card.value(),
                       c.slice.memory.wholeGib());
  }
  std::string tell(const WakeAt& c) {
    wake_ = c.time;
    return {};
  }

  Planner planner_;
  LawChecker checker_;
  std::optional<Instant> wake_;
  std::map<std::string, FunctionKey> functions_;
  std::map<std::string, CardId> cards_;
};

inline void check(const std::string& table, PlannerConfig config = {}) {
  Scenario(config).run(table);
}

}  // namespace okibi::planner::testing
