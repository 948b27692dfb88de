// Law 4: requests go to a ready instance before a new one is started, and to a parked one before
// that; nothing is started or woken for nobody; none that has room is wasted while one waits; and
// nobody waits in line for longer than a start is known to take and may be waited for.

#include <iterator>

#include "planner/law.h"

namespace okibi::planner {
namespace {

class ScaleOutLaws : public Law {
 public:
  explicit ScaleOutLaws(LawBooks& books) : books_(books) {}

  void before(const Command& command) override {
    if (const auto* start = std::get_if<StartInstance>(&command)) checkStart(*start);
    if (const auto* wake = std::get_if<Wake>(&command)) checkWake(*wake);
  }

  void atEnd(const LawStep& step) override {
    for (const auto& [id, instance] : books_.instances) {
      const LawBooks::Function& function = books_.functions[instance.function];
      if (!books_.hasRoom(instance) || function.queued.empty()) continue;
      books_.broken(4, "instance {} has room while {} wait", id.value(), function.queued.size());
    }
    for (const FunctionView& view : step.functions) checkLineWait(view, step.instances);
  }

 private:
  static bool isCovered(const LawBooks::Function& function) {
    return function.queued.size() <= LawBooks::covered(function, function.starting);
  }

  void checkStart(const StartInstance& command) {
    const LawBooks::Function& function = books_.functions[command.function];
    // What is missing of the minimum is started whatever the queue.
    if (books_.staying(command.function) < function.minimum) return;
    const std::uint64_t started = command.instance.value();
    if (isCovered(function) && !command.ahead) {
      books_.broken(4, "instance {} started for nobody", started);
    }
    for (const auto& [id, other] : books_.instances) {
      if (other.function != command.function) continue;
      if (books_.hasRoom(other) && !other.willDrain) {
        books_.broken(4, "instance {} started while {} has room", started, id.value());
      }
      if (other.phase == LawBooks::Phase::Parked && !other.recalled) {
        books_.broken(4, "instance {} started while {} is parked", started, id.value());
      }
    }
  }

  void checkWake(const Wake& command) {
    const LawBooks::Instance* instance = books_.instance(command.instance);
    if (!instance || instance->phase != LawBooks::Phase::Parked) return;
    if (command.ahead || !isCovered(books_.functionOf(*instance))) return;
    books_.broken(4, "instance {} woken for nobody", command.instance.value());
  }

  // Whether an instance comes for each who has waited too long; unless what it needs is short.
  void checkLineWait(const FunctionView& view, const std::vector<InstanceView>& instances) {
    const LawBooks::Function& function = books_.functions[view.key];
    const bool turns = books_.config.cardTurns > 0 && function.plan.gpu;
    const bool keptOnly = function.plan.demand == FunctionPlan::Demand::KeptOnly;
    if (view.inLine || books_.isCapped(function.plan) || turns || keptOnly) return;
    int coming = function.starting;
    bool parked = false;
    for (const InstanceView& i : instances) {
      if (i.function != view.key) continue;
      parked |= i.state == InstanceState::Parked;
      const bool promised = i.state == InstanceState::Placing ||
                            i.state == InstanceState::Recalled || i.state == InstanceState::Parking;
      coming += promised ? 1 : 0;
    }
    // One start at a time is tried; who is parked is woken all the same.
    if (function.failures >= books_.config.startFailuresInRow && coming > 0 && !parked) return;
    const std::size_t covered = LawBooks::covered(function, coming);
    if (function.queued.size() <= covered) return;
    const auto oldest = std::next(function.queued.begin(), static_cast<std::ptrdiff_t>(covered));
    const Duration waited = books_.now - oldest->second.arrived;
    if (waited <= longestWait(function)) return;
    books_.broken(4, "function {}: a request has waited {} ms and no instance comes",
                  view.key.value(), waited / std::chrono::milliseconds(1));
  }

  Duration longestWait(const LawBooks::Function& function) const {
    if (books_.config.scaleOut == ScaleOut::PerRequest) return Duration::zero();
    return function.longestStart / 100 * (200 + books_.config.waitMarginPercent);
  }

  LawBooks& books_;
};

}  // namespace

std::unique_ptr<Law> scaleOutLaws(LawBooks& books) {
  return std::make_unique<ScaleOutLaws>(books);
}

}  // namespace okibi::planner
