// MPS, with a pipe folder of its own and the card's compute mode left as it is: limits of memory
// and of processors, what a client is told, whether it can be checkpointed, and whether its
// neighbour survives its death.

#include <filesystem>

#include "bench/gpu/checkpoint.h"
#include "bench/gpu/report.h"

namespace okibi::gpubench {
namespace {

class Mps {
 public:
  Mps() {
    char pattern[] = "/tmp/okibi-mps-XXXXXX";
    folder_ = mkdtemp(pattern);
    environment_ = {"CUDA_MPS_PIPE_DIRECTORY=" + folder_, "CUDA_MPS_LOG_DIRECTORY=" + folder_};
    running_ = control("-d", "") == 0;
  }
  ~Mps() {
    if (running_) control("", "quit");
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  Mps(const Mps&) = delete;
  Mps& operator=(const Mps&) = delete;

  bool running() const { return running_; }
  std::vector<std::string> client(const std::vector<std::string>& more) const {
    std::vector<std::string> all = environment_;
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

 private:
  int control(const std::string& flag, const std::string& order) const {
    std::string command = environment_[0] + " " + environment_[1] + " nvidia-cuda-mps-control " +
                          flag + " >/dev/null 2>&1";
    if (!order.empty()) command = "echo " + order + " | " + command;
    return std::system(command.c_str());
  }

  std::string folder_;
  std::vector<std::string> environment_;
  bool running_ = false;
};

bool start(Target& target) {
  return target.ask("init") == "ok" && target.ask("context") == "ok";
}

void limits(Report& report, const Mps& mps) {
  Target client(mps.client(
      {"CUDA_MPS_PINNED_DEVICE_MEM_LIMIT=0=2G", "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE=25"}));
  if (!start(client)) return report.row({"client with limits", "cannot start"});
  report.row({"limit 2 GB: allocate 3 GB", client.ask("alloc 3072")});
  report.row({"total told (MiB)", number(client.askNumber("total") / (1 << 20), "%.0f")});
  report.row({"free told (MiB)", number(client.askNumber("free") / (1 << 20), "%.0f")});
  report.row({"processors at 25 %", number(client.askNumber("processors"), "%.0f")});
  report.row({"checkpoint: lock", checkpointStep("lock", client.pid(), 2000).text() + ", " +
                                      checkpointState(client.pid())});
}

void neighbours(Report& report, const Mps& mps) {
  Target first(mps.client({})), second(mps.client({}));
  if (!start(first) || !start(second)) return report.row({"two clients", "cannot start"});
  second.ask("alloc 64");
  first.end();
  report.row({"other client after SIGKILL of an idle one", second.ask("work")});
}

}  // namespace
}  // namespace okibi::gpubench

int main() {
  using namespace okibi::gpubench;
  if (call("cuInit", 0u) != 0) return 77;
  Report report(7, "MPS", {"what", "found"});
  const Mps mps;
  if (!mps.running()) {
    report.row({"MPS", "not run: nvidia-cuda-mps-control is absent or does not start"});
    return 0;
  }
  limits(report, mps);
  neighbours(report, mps);
}
