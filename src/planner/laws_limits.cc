// Law 7, of what the planner keeps: nobody joins the queue of a function that is full. Those that
// had a slot, and come back to the queue because they wait for a turn of a card that is not to be,
// are not turned away.

#include "planner/law.h"

namespace okibi::planner {
namespace {

class LimitLaws : public Law {
 public:
  explicit LimitLaws(LawBooks& books) : books_(books) {}

  void atEnd(const LawStep& step) override {
    if (const auto* arrival = std::get_if<InvocationArrived>(&step.event)) checkQueue(*arrival);
    waitingTurn_.clear();
    for (const InstanceView& view : step.instances) {
      if (view.waitingTurn > 0) waitingTurn_[view.function] += view.waitingTurn;
    }
  }

 private:
  void checkQueue(const InvocationArrived& arrival) {
    const LawBooks::Request& request = *books_.request(arrival.invocation);
    if (request.place != LawBooks::Place::Queued) return;
    const std::size_t queued = books_.functions[request.function].queued.size();
    const std::size_t most = books_.config.queuePerFunction;
    if (queued <= most + waitingTurn_[request.function]) return;
    books_.broken(7, "function {}: {} of {} queued", request.function.value(), queued, most);
  }

  LawBooks& books_;
  std::map<FunctionKey, std::size_t> waitingTurn_;  // before the step; their instances don't know
};

}  // namespace

std::unique_ptr<Law> limitLaws(LawBooks& books) {
  return std::make_unique<LimitLaws>(books);
}

}  // namespace okibi::planner
