// Inventory: what this machine and its driver are, and which calls the driver has.

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include <sys/stat.h>

#include "bench/gpu/driver.h"
#include "bench/gpu/report.h"
#include "bench/gpu/target.h"

namespace okibi::gpubench {
namespace {

namespace fs = std::filesystem;

std::string firstLine(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line.empty() ? "-" : line;
}

std::string linesWith(const fs::path& path, const std::string& word) {
  std::ifstream file(path);
  std::string all;
  for (std::string line; std::getline(file, line);) {
    if (line.find(word) != std::string::npos) all += (all.empty() ? "" : "; ") + line;
  }
  return all.empty() ? "-" : all;
}

std::string deviceNodes() {
  std::string all;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/dev", ignored)) {
    if (entry.path().filename().string().starts_with("nvidia"))
      all += entry.path().filename().string() + " ";
  }
  return all.empty() ? "none" : all;
}

std::string cgroupLayout() {
  const bool pure = fs::exists("/sys/fs/cgroup/cgroup.controllers");
  const bool hybrid = fs::exists("/sys/fs/cgroup/unified/cgroup.controllers");
  return pure     ? "v2, controllers " + firstLine("/sys/fs/cgroup/cgroup.controllers")
         : hybrid ? "v1 and v2"
                  : "v1 or none";
}

std::string found(const char* program) {
  for (const char* folder : {"/usr/bin/", "/usr/local/bin/", "/usr/local/nvidia/bin/"}) {
    if (fs::exists(std::string(folder) + program)) return folder + std::string(program);
  }
  return "absent";
}

void driver(Report& report) {
  int version = 0, device = 0;
  char name[256] = {};
  report.row({"cuInit", errorName(call("cuInit", 0u))});
  call("cuDriverGetVersion", &version);
  report.row({"driver interface", std::to_string(version)});
  report.row({"card", call("cuDeviceGetName", static_cast<char*>(name), 256, 0) == 0 ? name : "-"});
  std::size_t total = 0;
  call("cuDeviceTotalMem_v2", &total, device);
  report.row({"memory", number(static_cast<double>(total) / (1 << 30), "%.2f GiB")});
  for (const char* function :
       {"cuCheckpointProcessGetState", "cuCheckpointProcessGetRestoreThreadId",
        "cuCheckpointProcessLock", "cuCheckpointProcessCheckpoint", "cuCheckpointProcessRestore",
        "cuCheckpointProcessUnlock", "cuCheckpointOperationComplete"}) {
    void* resolved = nullptr;
    int status = 0;
    call("cuGetProcAddress_v2", function, &resolved, 13000, std::uint64_t{0}, &status);
    const bool exported = dlsym(driverLibrary(), function) != nullptr;
    report.row({function, std::string(exported ? "exported" : "not exported") +
                              (resolved ? ", resolved" : ", not resolved")});
  }
  Nvml nvml;
  for (const char* function : {"nvmlDeviceSetMemoryLimits_v1", "nvmlDeviceGetMemoryLimits_v1"})
    report.row({function, nvml.has(function) ? "yes" : "no"});
}

void machine(Report& report) {
  report.row({"kernel", firstLine("/proc/version")});
  report.row({"driver version", firstLine("/proc/driver/nvidia/version")});
  report.row({"device nodes", deviceNodes()});
  report.row({"majors", linesWith("/proc/devices", "nvidia")});
  report.row({"cgroups", cgroupLayout()});
  report.row({"swap", linesWith("/proc/swaps", "/")});
  report.row({"ptrace scope", firstLine("/proc/sys/kernel/yama/ptrace_scope")});
  report.row({"dmem controller", linesWith("/proc/cgroups", "dmem")});
  report.row({"MPS control", found("nvidia-cuda-mps-control")});
}

}  // namespace
}  // namespace okibi::gpubench

int main() {
  using namespace okibi::gpubench;
  driverLibrary();
  Report report(0, "inventory", {"what", "found"});
  machine(report);
  driver(report);
}
