// How long the driver takes to move a process off the card and back, by the size of its memory: by
// this program, which has the driver ready, and by a fresh process for each call.

#include "bench/gpu/checkpoint.h"
#include "bench/gpu/report.h"

namespace okibi::gpubench {
namespace {

constexpr const char* kActions[] = {"lock", "checkpoint", "restore", "unlock"};

Step inFreshProcess(const char* action, pid_t pid) {
  const auto start = std::chrono::steady_clock::now();
  const pid_t child = fork();
  if (child == 0) {
    const std::string self = beside("experiment_3"), target = std::to_string(pid);
    execl(self.c_str(), self.c_str(), action, target.c_str(), static_cast<char*>(nullptr));
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  // What failed, the child has said on standard error: an exit status is too small for the driver's
  // numbers.
  return {status == 0 ? 0 : 999, secondsSince(start)};
}

bool prepare(Target& target, int gigabytes) {
  if (target.ask("init") != "ok" || target.ask("context") != "ok") return false;
  for (int i = 0; i < gigabytes; ++i) {
    if (target.ask("alloc 1024") != "ok") return false;
  }
  return true;
}

void measure(Report& report, Nvml& nvml, int gigabytes, bool warm) {
  Target target;
  if (!prepare(target, gigabytes))
    return report.row({std::to_string(gigabytes) + " GiB", "does not fit", "", "", "", "", "", ""});
  std::vector<std::string> row = {std::to_string(gigabytes) + " GiB",
                                  warm ? "warm" : "fresh process"};
  std::string resident, left;
  for (const char* action : kActions) {
    const Step step =
        warm ? checkpointStep(action, target.pid()) : inFreshProcess(action, target.pid());
    row.push_back(step.text());
    if (std::string(action) != "checkpoint") continue;
    resident = number(residentMb(target.pid()), "%.0f MB");
    left = megabytes(nvml.usedMb(target.pid()));
  }
  row.push_back(resident);
  row.push_back(left);
  report.row(row);
}

int run() {
  if (call("cuInit", 0u) != 0) return 77;
  Nvml nvml;
  Report report(3, "checkpoint by the driver",
                {"memory", "helper", "lock", "checkpoint", "restore", "unlock", "resident, parked",
                 "on card, parked"});
  const char* most = std::getenv("OKIBI_BENCH_MAX_GIB");
  for (const int gigabytes : {0, 1, 2, 4, 8, 16, 32}) {
    if (gigabytes > (most ? std::atoi(most) : 32)) break;
    measure(report, nvml, gigabytes, true);
    if (gigabytes == 0 || gigabytes == 4) measure(report, nvml, gigabytes, false);
  }
  return 0;
}

}  // namespace
}  // namespace okibi::gpubench

int main(int argc, char** argv) {
  using namespace okibi::gpubench;
  if (argc != 3) return run();
  call("cuInit", 0u);
  const Step step = checkpointStep(argv[1], static_cast<pid_t>(std::atoi(argv[2])));
  if (step.status != 0) std::fprintf(stderr, "%s: %s\n", argv[1], errorName(step.status).c_str());
  return step.status != 0;
}
