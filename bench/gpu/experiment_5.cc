// How checkpointing fails: an endless kernel, managed memory, a card too full to come back to, and
// kills in each state.

#include "bench/gpu/checkpoint.h"
#include "bench/gpu/report.h"

namespace okibi::gpubench {
namespace {

class Failures {
 public:
  explicit Failures(Report& report) : report_(report) {}

  void all() {
    endlessKernel();
    managedMemory();
    fullCard();
    killParked();
    killRestored();
  }

 private:
  void say(const std::string& what, const Step& step, pid_t pid) {
    report_.row(
        {what, errorName(step.status), number(step.seconds, "%.3f s"), checkpointState(pid)});
  }

  bool start(Target& target, const std::string& allocate) {
    return target.ask("init") == "ok" && target.ask("context") == "ok" &&
           target.ask(allocate) == "ok";
  }

  void endlessKernel() {
    Target target;
    if (!start(target, "alloc 16")) return;
    target.ask("spin 8000");
    say("lock for 500 ms, kernel of 8 s", checkpointStep("lock", target.pid(), 500), target.pid());
    target.ask("turn 1");
    say("lock when it is done", checkpointStep("lock", target.pid(), 2000), target.pid());
  }

  void managedMemory() {
    Target target;
    if (!start(target, "managed 16")) return;
    say("managed memory: lock", checkpointStep("lock", target.pid()), target.pid());
    say("managed memory: checkpoint", checkpointStep("checkpoint", target.pid()), target.pid());
  }

  void fullCard() {
    Target parked;
    if (!start(parked, "alloc 512")) return;
    checkpointStep("lock", parked.pid());
    checkpointStep("checkpoint", parked.pid());
    {
      Target filler;
      if (!start(filler, "alloc 1")) return;
      filler.ask("fill 64");
      say("restore, card full", checkpointStep("restore", parked.pid()), parked.pid());
    }
    say("restore, card free again", checkpointStep("restore", parked.pid()), parked.pid());
    say("unlock after that", checkpointStep("unlock", parked.pid()), parked.pid());
  }

  void killed(const std::string& what, Target& target, Nvml& nvml) {
    const pid_t pid = target.pid();
    const auto start = std::chrono::steady_clock::now();
    target.end();
    report_.row({what, "ended", number(secondsSince(start), "%.3f s"),
                 "on card: " + megabytes(nvml.usedMb(pid))});
  }

  void killParked() {
    Target target;
    Nvml nvml;
    if (!start(target, "alloc 64")) return;
    checkpointStep("lock", target.pid());
    checkpointStep("checkpoint", target.pid());
    killed("SIGKILL while parked", target, nvml);
  }

  // A live restored process is never killed here: that hung a whole host on one driver (public
  // report). Parked first, it is safe.
  void killRestored() {
    Target target;
    Nvml nvml;
    if (!start(target, "alloc 64")) return;
    for (const char* action : {"lock", "checkpoint", "restore", "unlock", "lock", "checkpoint"})
      say(std::string("twice: ") + action, checkpointStep(action, target.pid()), target.pid());
    killed("SIGKILL, restored and parked again", target, nvml);
  }

  Report& report_;
};

}  // namespace
}  // namespace okibi::gpubench

int main() {
  using namespace okibi::gpubench;
  if (call("cuInit", 0u) != 0) return 77;
  Report report(5, "failures", {"what", "answer", "took", "state"});
  Failures(report).all();
}
