// Law 4, of instances that are started or woken for a request that is expected: they take nothing
// from those who wait. None comes while they do, and it goes as soon as one of them could have its
// card. (One that wakes first wakes up.)

#include <set>

#include "planner/law.h"

namespace okibi::planner {
namespace {

class AheadLaws : public Law {
 public:
  explicit AheadLaws(LawBooks& books) : books_(books) {}

  void after(const Command& command) override {
    if (const auto* start = std::get_if<StartInstance>(&command)) {
      if (start->ahead) call(start->instance);
    } else if (const auto* wake = std::get_if<Wake>(&command)) {
      if (wake->ahead) call(wake->instance);
    } else if (const auto* dispatch = std::get_if<Dispatch>(&command)) {
      unused_.erase(dispatch->instance);
    } else if (const auto* park = std::get_if<Park>(&command)) {
      unused_.erase(park->instance);
    }
  }

  void atEnd(const LawStep& step) override {
    const auto* arrival = std::get_if<InvocationArrived>(&step.event);
    std::erase_if(unused_, [&](InstanceId id) {
      const LawBooks::Instance* instance = books_.instance(id);
      if (!instance || instance->sessions > 0) return true;
      // Who is on its way is on its way for this one.
      return arrival && arrival->function == instance->function && comes(*instance);
    });
    for (InstanceId id : unused_) {
      const LawBooks::Instance& instance = *books_.instance(id);
      if (books_.functionOf(instance).minimum > 0) continue;
      for (const FunctionView& view : step.functions) {
        if (view.inLine && view.key != instance.function) check(id, instance, view);
      }
    }
    called_.clear();
  }

 private:
  static bool comes(const LawBooks::Instance& instance) {
    return instance.phase == LawBooks::Phase::Starting || instance.phase == LawBooks::Phase::Waking;
  }

  void call(InstanceId id) {
    unused_.insert(id);
    called_.insert(id);
  }

  void check(InstanceId id, const LawBooks::Instance& instance, const FunctionView& waits) {
    const FunctionPlan& waiter = books_.functions[waits.key].plan;
    const FunctionPlan& plan = books_.functionOf(instance).plan;
    const bool sameCards = waiter.gpu && plan.gpu && waiter.gpu->type == plan.gpu->type;
    const bool stays = instance.phase == LawBooks::Phase::Starting ||
                       instance.phase == LawBooks::Phase::Ready ||
                       instance.phase == LawBooks::Phase::Frozen;
    if (called_.contains(id) && instance.phase != LawBooks::Phase::Stopping &&
        (sameCards || waiter.account == plan.account)) {
      books_.broken(4, "instance {} came for an expected request while function {} waited",
                    id.value(), waits.key.value());
    } else if (stays && waits.forCards && sameCards && waiter.gpu->memory <= plan.gpu->memory) {
      books_.broken(4, "instance {} is held for an expected request while function {} waits",
                    id.value(), waits.key.value());
    }
  }

  LawBooks& books_;
  std::set<InstanceId> unused_;  // nobody has used it yet
  std::set<InstanceId> called_;  // in this step
};

}  // namespace

std::unique_ptr<Law> aheadLaws(LawBooks& books) {
  return std::make_unique<AheadLaws>(books);
}

}  // namespace okibi::planner
