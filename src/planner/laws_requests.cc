// Laws 2 and 8: a request is in exactly one place, is answered once, and none waits past its
// deadline; what was dispatched is cut only when its instance is gone, and a slot that was given
// back is free.

#include "planner/law.h"

namespace okibi::planner {
namespace {

class RequestLaws : public Law {
 public:
  explicit RequestLaws(LawBooks& books) : books_(books) {}

  void before(const Command& command) override {
    std::visit([this](const auto& c) { check(c); }, command);
  }

  void atEnd(const LawStep& step) override {
    for (const InstanceView& view : step.instances) checkSlots(view);
    for (const auto& [key, function] : books_.functions) checkDeadlines(key, function);
  }

 private:
  using Place = LawBooks::Place;

  template <typename Other>
  void check(const Other&) {}

  void check(const Dispatch& command) {
    const std::uint64_t id = command.invocation.value();
    const LawBooks::Request* request = books_.request(command.invocation);
    if (!request || request->place != Place::Queued) {
      return books_.broken(2, "invocation {} dispatched, not queued", id);
    }
    // What waited for a start or a wake may go anywhere when that is done.
    const bool itsStart = command.warmth == Warmth::Cold || command.warmth == Warmth::Woken ||
                          request->function == books_.fresh;
    if (request->deadline < books_.now && !itsStart &&
        books_.functions[request->function].starting == 0) {
      books_.broken(2, "invocation {} served after its deadline", id);
    }
    const LawBooks::Instance* instance = books_.instance(command.instance);
    if (!instance) {
      books_.broken(2, "invocation {} dispatched to nothing", id);
    } else if (instance->function != request->function) {
      books_.broken(2, "invocation {} to another function", id);
    }
  }

  void check(const Refuse& command) {
    const LawBooks::Request* request = books_.request(command.invocation);
    if (!request || request->place != Place::Queued) {
      return books_.broken(2, "invocation {} refused, not queued", command.invocation.value());
    }
    if (command.error.message.empty()) {
      books_.broken(5, "invocation {} refused without a reason", command.invocation.value());
    }
  }

  void check(const Abort& command) {
    const LawBooks::Request* request = books_.request(command.invocation);
    if (!request || request->place != Place::Dispatched) {
      return books_.broken(2, "invocation {} aborted, not dispatched", command.invocation.value());
    }
    if (books_.instance(command.instance)) {
      books_.broken(8, "invocation {} aborted though instance {} lives", command.invocation.value(),
                    command.instance.value());
    }
  }

  void check(const StartInstance& command) {
    if (!books_.instance(command.instance)) return;
    books_.broken(2, "instance {} started twice", command.instance.value());
  }

  void checkSlots(const InstanceView& view) {
    const LawBooks::Instance* instance = books_.instance(view.id);
    if (!instance || view.inFlight == instance->inFlight) return;
    books_.broken(2, "instance {} shows {} in flight, has {}", view.id.value(), view.inFlight,
                  instance->inFlight);
  }

  // Only what instances on their way can serve may be late.
  void checkDeadlines(FunctionKey key, const LawBooks::Function& function) {
    std::size_t overdue = 0;
    for (const auto& [id, waiting] : function.queued) {
      overdue += waiting.deadline < books_.now ? 1 : 0;
    }
    if (overdue <= LawBooks::covered(function, function.starting)) return;
    books_.broken(2, "function {}: {} wait past their deadline", key.value(), overdue);
  }

  LawBooks& books_;
};

}  // namespace

std::unique_ptr<Law> requestLaws(LawBooks& books) {
  return std::make_unique<RequestLaws>(books);
}

}  // namespace okibi::planner
