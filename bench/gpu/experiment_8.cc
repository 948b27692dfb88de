// The shim on this driver: what a program is told, where it is refused, what the shim counts beside
// what the driver says, and what a launch costs. Then the same through PyTorch
// (experiment_8_torch.py).
//   experiment_8 FRONT BUDGET   (the folder of FRONT is put on the library path of the programs
//   tried)

#include <cstring>
#include <filesystem>
#include <fstream>

#include <fcntl.h>
#include <sys/mman.h>

#include "bench/gpu/driver.h"
#include "bench/gpu/report.h"
#include "bench/gpu/target.h"
#include "shim/budget.h"

namespace okibi::gpubench {
namespace {

constexpr double kMiB = 1 << 20;

budget::File* makeBudget(const std::string& path, std::uint64_t limit) {
  std::filesystem::remove(path);
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0 || ftruncate(fd, sizeof(budget::File)) != 0) return nullptr;
  void* at = mmap(nullptr, sizeof(budget::File), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (at == MAP_FAILED) return nullptr;
  auto* file = static_cast<budget::File*>(at);
  file->magic = budget::kMagic;
  file->version = budget::kVersion;
  file->cards = 1;
  file->card[0].limit = limit / budget::kUnit;
  file->checksum = budget::checksumOf(*file);
  return file;
}

double charged(const budget::File& file) {
  return static_cast<double>(budget::usedUnits(file, 0) * budget::kUnit) / kMiB;
}

void inSlice(Report& report, const std::string& front, const budget::File& file) {
  Nvml nvml;
  Target target({"OKIBI_TEST_CUDA=" + front});
  if (target.ask("init") != "ok" || target.ask("context") != "ok")
    return report.row({"a program in the slice", "cannot start"});
  report.row({"total told (MiB)", number(target.askNumber("total") / kMiB, "%.0f")});
  report.row({"free told (MiB)", number(target.askNumber("free") / kMiB, "%.0f")});
  report.row({"blocks of 64 MiB until refused", number(target.askNumber("fill 64"), "%.0f")});
  const auto real = nvml.usedMb(target.pid());
  report.row({"charged by the shim (MiB)", number(charged(file), "%.0f")});
  report.row({"used, says the driver", megabytes(real)});
  if (real) report.row({"difference: a context (MiB)", number(*real - charged(file), "%.0f")});
}

double launchCost(const std::string& library) {
  double best = 1e9;
  for (int round = 0; round < 5; ++round) {
    Target target({"OKIBI_TEST_CUDA=" + library});
    target.ask("init");
    target.ask("context");
    best = std::min(best, target.askNumber("launches 20000"));
  }
  return best;
}

// Each line of the script's output is "what<TAB>found".
void torch(Report& report, const std::string& front, double limitMb) {
  const std::string folder = std::filesystem::path(front).parent_path();
  const std::string command = "LD_LIBRARY_PATH=" + folder + ":$LD_LIBRARY_PATH python3 " +
                              beside("experiment_8_torch.py") + " " + number(limitMb, "%.0f") +
                              " 2>&1";
  FILE* lines = popen(command.c_str(), "r");
  char line[1024];
  while (lines && std::fgets(line, sizeof line, lines)) {
    line[std::strcspn(line, "\n")] = 0;
    char* tab = std::strchr(line, '\t');
    if (tab) report.row({std::string(line, tab), tab + 1});
  }
  if (lines) pclose(lines);
}

int run(const std::string& front, const std::string& budgetPath) {
  if (call("cuInit", 0u) != 0) return 77;
  std::size_t total = 0;
  call("cuDeviceTotalMem_v2", &total, 0);
  const std::uint64_t limit = std::min<std::uint64_t>(4096ull << 20, total / 2);
  Report report(8, "the shim on this driver", {"what", "found"});
  budget::File* file = makeBudget(budgetPath, limit);
  if (!file) return 1;
  report.row({"slice (MiB)", number(static_cast<double>(limit) / kMiB, "%.0f")});
  inSlice(report, front, *file);
  const double bare = launchCost(driverPath()), shimmed = launchCost(front);
  report.row({"launch without the shim (ns)", number(bare, "%.0f")});
  report.row({"launch with the shim (ns)", number(shimmed, "%.0f")});
  torch(report, front, static_cast<double>(limit) / kMiB);
  return 0;
}

}  // namespace
}  // namespace okibi::gpubench

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  return okibi::gpubench::run(argv[1], argv[2]);
}
