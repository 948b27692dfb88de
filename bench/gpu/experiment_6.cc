// A frozen process: the driver works through a thread of its target, so a call to a frozen one
// hangs. Then the right order.

#include <filesystem>
#include <fstream>

#include "bench/gpu/checkpoint.h"
#include "bench/gpu/report.h"

namespace okibi::gpubench {
namespace {

namespace fs = std::filesystem;

class Freezer {
 public:
  Freezer() {
    for (const char* root : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
      if (!fs::exists(std::string(root) + "/cgroup.procs") ||
          !fs::exists(std::string(root) + "/cgroup.subtree_control"))
        continue;
      group_ = std::string(root) + "/okibi-bench-" + std::to_string(getpid());
      std::error_code error;
      fs::create_directory(group_, error);
      if (!error && fs::exists(group_ / "cgroup.freeze")) return;
    }
    group_.clear();
  }
  ~Freezer() {
    std::error_code ignored;
    if (!group_.empty()) fs::remove(group_, ignored);
  }

  bool usable() const { return !group_.empty(); }
  void take(pid_t pid) { std::ofstream(group_ / "cgroup.procs") << pid << std::flush; }
  void set(bool frozen) {
    std::ofstream(group_ / "cgroup.freeze") << (frozen ? 1 : 0) << std::flush;
    usleep(50'000);
  }

 private:
  fs::path group_;
};

// The call in a child that is given three seconds.
std::string guarded(const char* action, pid_t pid) {
  const auto start = std::chrono::steady_clock::now();
  const pid_t child = fork();
  if (child == 0) {
    const std::string helper = beside("experiment_3"), target = std::to_string(pid);
    execl(helper.c_str(), helper.c_str(), action, target.c_str(), static_cast<char*>(nullptr));
    _exit(127);
  }
  int status = 0;
  while (waitpid(child, &status, WNOHANG) == 0) {
    if (secondsSince(start) > 3) {
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
      return "hangs (3 s)";
    }
    usleep(5'000);
  }
  return (status == 0 ? "done" : "failed") + number(secondsSince(start), " after %.3f s");
}

int run() {
  if (call("cuInit", 0u) != 0) return 77;
  Report report(6, "a frozen target", {"what", "answer", "state"});
  Freezer freezer;
  Target target;
  if (!freezer.usable()) {
    report.row({"freeze", "not run: no cgroup v2 freezer that this user may use", "-"});
    return 0;
  }
  if (target.ask("init") != "ok" || target.ask("context") != "ok" || target.ask("alloc 64") != "ok")
    return 1;
  freezer.take(target.pid());
  freezer.set(true);
  report.row({"frozen: lock", guarded("lock", target.pid()), "-"});
  freezer.set(false);
  report.row({"thawed", "-", checkpointState(target.pid())});
  checkpointStep("unlock", target.pid());
  for (const char* action : {"lock", "checkpoint"})
    report.row(
        {action, checkpointStep(action, target.pid()).text(), checkpointState(target.pid())});
  freezer.set(true);
  report.row({"frozen while parked", "-", "-"});
  freezer.set(false);
  for (const char* action : {"restore", "unlock"})
    report.row(
        {action, checkpointStep(action, target.pid()).text(), checkpointState(target.pid())});
  report.row({"works again", target.ask("work"), checkpointState(target.pid())});
  return 0;
}

}  // namespace
}  // namespace okibi::gpubench

int main() {
  return okibi::gpubench::run();
}
