// What a process takes on the card before it allocates anything.

#include "bench/gpu/driver.h"
#include "bench/gpu/report.h"
#include "bench/gpu/target.h"

namespace okibi::gpubench {
namespace {

// A python program that says "ready" after each of its stages, and goes on when it gets a line.
constexpr const char* kTorch = R"(
import sys
import torch
assert torch.cuda.is_available()
print("import torch", flush=True); sys.stdin.readline()
x = torch.ones(16, 16, device="cuda"); torch.cuda.synchronize()
print("torch: first tensor", flush=True); sys.stdin.readline()
y = x @ x; torch.cuda.synchronize()
print("torch: matmul", flush=True); sys.stdin.readline()
)";

void sample(Report& report, Nvml& nvml, const std::string& stage, pid_t pid,
            std::optional<double> before) {
  const auto now = nvml.usedMb();
  std::optional<double> grown;
  if (now && before) grown = *now - *before;
  report.row(
      {stage, megabytes(nvml.usedMb(pid)), megabytes(grown), number(residentMb(pid), "%.0f MB")});
}

void ownStages(Report& report, Nvml& nvml) {
  const auto before = nvml.usedMb();
  Target target;
  for (const char* stage : {"init", "context", "cublas"}) {
    const std::string answer = target.ask(stage);
    if (answer.starts_with("ok"))
      sample(report, nvml, stage, target.pid(), before);
    else
      report.row({stage, answer, "-", "-"});
  }
}

void torchStages(Report& report, Nvml& nvml) {
  const auto before = nvml.usedMb();
  Target torch = Target::python(kTorch);
  int stages = 0;
  for (std::string stage = torch.receive(); stage != "gone"; stage = torch.ask("on"), ++stages) {
    sample(report, nvml, stage, torch.pid(), before);
  }
  if (!stages) report.row({"torch", "not run: no PyTorch that sees a card", "-", "-"});
}

}  // namespace
}  // namespace okibi::gpubench

int main() {
  using namespace okibi::gpubench;
  driverLibrary();
  Nvml nvml;
  Report report(2, "memory on the card after each stage",
                {"stage", "of the process (NVML)", "card's growth", "resident"});
  ownStages(report, nvml);
  torchStages(report, nvml);
}
