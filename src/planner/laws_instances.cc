// Law 3: no instance has more requests than its concurrency, or any while it is not ready; none is
// frozen, parked or stopped with a request or a session in it. Sessions also by laws 2 (the planner
// counts them as they are) and 9 (a draining instance is not kept by them).

#include "planner/law.h"

namespace okibi::planner {
namespace {

class InstanceLaws : public Law {
 public:
  explicit InstanceLaws(LawBooks& books) : books_(books) {}

  void before(const Command& command) override {
    std::visit([this](const auto& c) { check(c); }, command);
  }

  void atEnd(const LawStep& step) override {
    for (const InstanceView& view : step.instances) {
      if (const LawBooks::Instance* instance = books_.instance(view.id)) {
        checkSessions(view, *instance);
      }
    }
  }

 private:
  using Phase = LawBooks::Phase;

  static bool unused(const LawBooks::Instance& instance) {
    return instance.inFlight == 0 && instance.sessions == 0;
  }

  template <typename Other>
  void check(const Other&) {}

  void check(const Dispatch& command) {
    if (!books_.accepts(command)) return;
    const std::uint64_t id = command.invocation.value(), to = command.instance.value();
    const LawBooks::Instance& instance = *books_.instance(command.instance);
    if (instance.phase != Phase::Ready || instance.draining) {
      books_.broken(3, "invocation {} to instance {} that is not ready", id, to);
    }
    if (instance.health == Health::Unhealthy) {
      books_.broken(3, "invocation {} to unhealthy instance {}", id, to);
    }
    if (instance.inFlight >= books_.functionOf(instance).plan.concurrency) {
      books_.broken(3, "instance {} serves {}", to, instance.inFlight + 1);
    }
  }

  void check(const StopInstance& command) {
    const LawBooks::Instance* instance = books_.instance(command.instance);
    if (!instance || instance->phase == Phase::Stopping) {
      return books_.broken(3, "instance {} stopped twice or unknown", command.instance.value());
    }
    if (unused(*instance) && instance->phase != Phase::Frozen) return;
    books_.broken(3, "instance {} stopped frozen or with {} in flight, {} sessions",
                  command.instance.value(), instance->inFlight, instance->sessions);
  }

  void check(const Park& command) {
    const LawBooks::Instance* instance = books_.instance(command.instance);
    const bool may =
        instance && instance->phase == Phase::Ready && unused(*instance) && instance->slice;
    if (may) return;
    books_.broken(3, "instance {} parked while in use or off its card", command.instance.value());
  }

  void check(const Wake& command) {
    const LawBooks::Instance* instance = books_.instance(command.instance);
    if (instance && instance->phase == Phase::Parked) return;
    books_.broken(3, "instance {} woken, not parked", command.instance.value());
  }

  void check(const EndSessions& command) {
    const LawBooks::Instance* instance = books_.instance(command.instance);
    if (instance && instance->sessions > 0 && instance->willDrain) return;
    books_.broken(3, "instance {}: sessions ended without need", command.instance.value());
  }

  void check(const Freeze& command) {
    const LawBooks::Instance* instance = books_.instance(command.instance);
    if (instance && instance->phase == Phase::Ready && unused(*instance)) return;
    books_.broken(3, "instance {} frozen while in use", command.instance.value());
  }

  void check(const Thaw& command) {
    const LawBooks::Instance* instance = books_.instance(command.instance);
    if (instance && instance->phase == Phase::Frozen) return;
    books_.broken(3, "instance {} thawed, not frozen", command.instance.value());
  }

  void checkSessions(const InstanceView& view, const LawBooks::Instance& instance) {
    const std::uint64_t id = view.id.value();
    if (view.sessions != instance.sessions) {
      books_.broken(2, "instance {} shows {} sessions, has {}", id, view.sessions,
                    instance.sessions);
    }
    if (instance.sessions > 0 && instance.phase == Phase::Frozen) {
      books_.broken(3, "instance {} is frozen with {} sessions", id, instance.sessions);
    }
    if (instance.sessions > 0 && instance.draining && !instance.sessionsEnding) {
      books_.broken(9, "instance {} drains, but its sessions may stay", id);
    }
  }

  LawBooks& books_;
};

}  // namespace

std::unique_ptr<Law> instanceLaws(LawBooks& books) {
  return std::make_unique<InstanceLaws>(books);
}

}  // namespace okibi::planner
