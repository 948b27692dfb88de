// A program that wants more GPU memory than it was given: bypass_probe ROUTE ACTION [ARGUMENT...].
// Prints "name value" lines.
//   fill MB              blocks of MB until refused, all kept: "blocks N", "status S"
//   host MB              pinned host memory: "status S"
//   hold MB              the same, then waits for the end of its standard input
//   path NAME MB         the same through another kind of allocation (probe_paths.cc), then frees:
//   "freed 0" info                 "total B", "free B", "device B" child MB, fork MB, forkinit MB
//   fill here and in a child made by exec, by fork before cuInit, or after it threads N MB N
//   threads, one block of MB each: "blocks N" churn N              N allocations and frees of every
//   kind resolve              checks of versions, streams and unknown functions leak MB fills, then
//   dies without freeing

#include "gpu_bypass/probe.h"

#include <atomic>
#include <cstring>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

namespace okibi::bypass {
namespace {

constexpr std::size_t kMiB = 1 << 20;

std::size_t megabytes(const char* text) {
  return std::strtoull(text, nullptr, 10) * kMiB;
}

void fill(std::size_t block, const char* who = "") {
  int blocks = 0, status = 0;
  cuda::DevicePtr pointer = 0;
  while ((status = call("cuMemAlloc_v2", &pointer, block)) == cuda::kSuccess) ++blocks;
  say("%sblocks %d", who, blocks);
  say("%sstatus %d", who, status);
}

int hold(std::size_t block) {
  fill(block);
  say("holding 1");
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
  return 0;
}

int info() {
  std::size_t free = 0, total = 0, device = 0;
  call("cuMemGetInfo_v2", &free, &total);
  call("cuDeviceTotalMem_v2", &device, 0);
  say("total %zu", total);
  say("free %zu", free);
  say("device %zu", device);
  return 0;
}

int hostMemory(std::size_t bytes) {
  void* pointer = nullptr;
  say("status %d", call("cuMemHostAlloc", &pointer, bytes, 0u));
  call("cuMemFreeHost", pointer);
  return 0;
}

int inChild(char** argv, std::size_t block) {
  const pid_t child = fork();
  if (child == 0) {
    char fillWord[] = "fill";
    char* arguments[] = {argv[0], argv[1], fillWord, argv[3], nullptr};
    execv("/proc/self/exe", arguments);
    _exit(72);
  }
  waitpid(child, nullptr, 0);
  fill(block, "parent-");
  return 0;
}

int afterFork(std::size_t block) {
  const pid_t child = fork();
  startDriver();
  if (child != 0) waitpid(child, nullptr, 0);
  fill(block, child ? "parent-" : "child-");
  return 0;
}

int forkAfterInit(std::size_t block) {
  cuda::DevicePtr mine = 0;
  call("cuMemAlloc_v2", &mine, block);
  const pid_t child = fork();
  if (child != 0) {
    waitpid(child, nullptr, 0);
    fill(block, "parent-");
    return 0;
  }
  const int again = call("cuInit", 0u);
  say("child-init %d", again);
  if (again == cuda::kSuccess) {
    cuda::Context context = nullptr;
    call("cuCtxCreate_v2", &context, 0u, 0);
  }
  // What the parent allocated is not the child's to give back.
  call("cuMemFree_v2", mine);
  fill(block, "child-");
  _exit(0);
}

int inThreads(int count, std::size_t block) {
  cuda::Context context = nullptr;
  call("cuCtxGetCurrent", &context);
  std::atomic<int> blocks{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) {
    threads.emplace_back([&] {
      call("cuCtxSetCurrent", context);
      cuda::DevicePtr pointer = 0;
      if (call("cuMemAlloc_v2", &pointer, block) == cuda::kSuccess) ++blocks;
    });
  }
  for (std::thread& thread : threads) thread.join();
  say("blocks %d", blocks.load());
  return 0;
}

int run(int argc, char** argv) {
  const std::string action = argv[2];
  if (action == "fork") return afterFork(megabytes(argv[3]));
  if (action == "init") return say("status %d", call("cuInit", 0u)), 0;
  startDriver();
  if (action == "info") return info();
  if (action == "resolve") return checkResolving();
  if (argc < 4) return 2;
  if (action == "fill") return fill(megabytes(argv[3])), 0;
  if (action == "leak") {
    fill(megabytes(argv[3]));
    _exit(0);
  }
  if (action == "hold") return hold(megabytes(argv[3]));
  if (action == "host") return hostMemory(megabytes(argv[3]));
  if (action == "child") return inChild(argv, megabytes(argv[3]));
  if (action == "forkinit") return forkAfterInit(megabytes(argv[3]));
  if (action == "churn") return churn(std::strtoull(argv[3], nullptr, 10));
  if (action == "path" && argc > 4) return fillPath(argv[3], megabytes(argv[4]));
  if (action == "threads" && argc > 4) return inThreads(std::atoi(argv[3]), megabytes(argv[4]));
  return 2;
}

}  // namespace

void startDriver() {
  cuda::Context context = nullptr;
  int status = call("cuInit", 0u);
  if (status == cuda::kSuccess) status = call("cuCtxCreate_v2", &context, 0u, 0);
  if (status == cuda::kSuccess) return;
  say("status %d", status);
  exit(0);
}

}  // namespace okibi::bypass

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  okibi::bypass::getter() = okibi::bypass::openRoute(argv[1]);
  return okibi::bypass::run(argc, argv);
}
