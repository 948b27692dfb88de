// Law 10: no function that waits for cards is passed over for more than eight turns for each that
// waits.

#include <algorithm>

#include "planner/law.h"

namespace okibi::planner {
namespace {

class FairnessLaws : public Law {
 public:
  explicit FairnessLaws(LawBooks& books) : books_(books) {}

  void atEnd(const LawStep& step) override {
    for (const Command& command : step.commands) {
      if (const auto* start = std::get_if<StartInstance>(&command)) {
        passOver(start->function);
      } else if (const auto* wake = std::get_if<Wake>(&command)) {
        const LawBooks::Instance* instance = books_.instance(wake->instance);
        if (instance) passOver(instance->function);
      }
    }
    waiters_ = stillWaiting(step);
    for (auto& [key, waiter] : waiters_) {
      waiter.most = std::max(waiter.most, static_cast<int>(waiters_.size()));
      if (waiter.passed <= (kTurnsEach + 1) * waiter.most + waiter.promised) continue;
      books_.broken(10, "function {}: passed over {} times while {} waited", key.value(),
                    waiter.passed, waiter.most);
    }
  }

 private:
  // How often another was served that asked for as much or more.
  struct Waiter {
    int passed = 0;
    int most = 0;      // waiters at once, meanwhile
    int promised = 0;  // instances that had been promised a card when it came
  };

  // A card was given to the function: to whom it might have gone instead?
  void passOver(FunctionKey served) {
    const std::optional<GpuConfig>& given = books_.functions[served].plan.gpu;
    if (!given) return;
    for (auto& [key, waiter] : waiters_) {
      const GpuConfig& asked = *books_.functions[key].plan.gpu;
      if (key == served) {
        waiter.passed = 0;
      } else if (asked.type == given->type && asked.memory <= given->memory) {
        ++waiter.passed;
      }
    }
  }

  std::map<FunctionKey, Waiter> stillWaiting(const LawStep& step) {
    const auto promised = [](const InstanceView& i) {
      return i.state == InstanceState::Placing || i.state == InstanceState::Recalled;
    };
    const auto count = static_cast<int>(std::ranges::count_if(step.instances, promised));
    std::map<FunctionKey, Waiter> now;
    for (const FunctionView& view : step.functions) {
      if (!view.forCards || !books_.functions[view.key].plan.gpu) continue;
      const auto known = waiters_.find(view.key);
      now[view.key] = known != waiters_.end() ? known->second : Waiter{0, 0, count};
    }
    for (const InstanceView& i : step.instances) {
      if (promised(i) && now.contains(i.function)) now[i.function].passed = 0;
    }
    return now;
  }

  LawBooks& books_;
  std::map<FunctionKey, Waiter> waiters_;  // for cards
};

}  // namespace

std::unique_ptr<Law> fairnessLaws(LawBooks& books) {
  return std::make_unique<FairnessLaws>(books);
}

}  // namespace okibi::planner
