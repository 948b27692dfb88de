// Whether a process computes the same after being moved off the card and back: 20 cycles between
// steps of work with streams, an event, a captured graph and pinned buffers, beside the same work
// undisturbed; then a PyTorch model's output.

#include "bench/gpu/checkpoint.h"
#include "bench/gpu/report.h"

namespace okibi::gpubench {
namespace {

constexpr int kCycles = 20;

// False: a call failed, named in `failure`.
bool cycle(pid_t pid, std::string& failure) {
  for (const char* action : {"lock", "checkpoint", "restore", "unlock"}) {
    const Step step = checkpointStep(action, pid);
    if (step.status == 0) continue;
    failure = std::string(action) + ": " + errorName(step.status);
    return false;
  }
  return true;
}

bool prepare(Target& target) {
  return target.ask("init") == "ok" && target.ask("context") == "ok" &&
         target.ask("alloc 64") == "ok" && target.ask("alloc 33") == "ok" &&
         target.ask("work") == "ok";
}

void ownWork(Report& report) {
  Target moved, undisturbed;
  if (!prepare(moved) || !prepare(undisturbed))
    return report.row({"streams, event, graph, pinned", "cannot start", "-"});
  int same = 0;
  std::string failure;
  for (int i = 0; i < kCycles && cycle(moved.pid(), failure); ++i) {
    const std::string step = moved.ask("work");
    undisturbed.ask("work");
    if (step != "ok") failure = step;
    if (moved.askNumber("sum") == undisturbed.askNumber("sum")) ++same;
  }
  report.row({"streams, event, graph, pinned",
              std::to_string(same) + " of " + std::to_string(kCycles) + " equal",
              failure.empty() ? "-" : failure});
}

constexpr const char* kTorch = R"(
import sys
import torch
assert torch.cuda.is_available()
torch.manual_seed(1)
model = torch.nn.Sequential(torch.nn.Linear(1024, 4096), torch.nn.GELU(), torch.nn.Linear(4096, 1024)).cuda().eval()
x = torch.randn(64, 1024, device="cuda")
with torch.inference_mode():
    first = model(x).cpu()
    print("ready", flush=True)
    for _ in sys.stdin:
        print("equal" if torch.equal(model(x).cpu(), first) else "differs", flush=True)
)";

void torchModel(Report& report) {
  Target torch = Target::python(kTorch);
  int same = 0;
  std::string failure = torch.receive() == "ready" ? "" : "not run: no PyTorch that sees a card";
  for (int i = 0; i < kCycles && failure.empty() && cycle(torch.pid(), failure); ++i) {
    const std::string answer = torch.ask("again");
    if (answer == "equal") ++same;
    if (answer == "gone") failure = "it ended";
  }
  report.row({"PyTorch model", std::to_string(same) + " of " + std::to_string(kCycles) + " equal",
              failure.empty() ? "-" : failure});
}

}  // namespace
}  // namespace okibi::gpubench

int main() {
  using namespace okibi::gpubench;
  if (call("cuInit", 0u) != 0) return 77;
  Report report(4, "the same results after a checkpoint", {"work", "results", "failure"});
  ownWork(report);
  torchModel(report);
}
