// What a call costs through the shim, against the same call without it, in turns.
//
//   shim_bench [ROUNDS]
//
// On the fake driver, whose calls cost next to nothing, so that what the shim adds is seen whole;
// with OKIBI_TEST_CUDA, on that driver. Each turn is a fresh process, because a process has one
// driver. Prints nanoseconds per call, best of the rounds, and the ratio; the last line is the same
// as JSON.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gpu_bypass/testing_instance.h"
#include "shim/cuda_abi.h"

namespace okibi::bench {
namespace {

constexpr int kCalls = 20'000;

class Driver {
 public:
  explicit Driver(const std::string& library) : handle_(dlopen(library.c_str(), RTLD_NOW)) {
    if (!handle_) fail(dlerror());
    cuda::Context context = nullptr;
    int status = call("cuInit", 0U);
    if (status == 0) status = call("cuCtxCreate_v2", &context, 0U, 0);
    if (status != 0) fail("no context: " + std::to_string(status));
    call("cuStreamCreate", &stream, 1U);
  }

  template <class... A>
  int call(const char* name, A... arguments) {
    return address<A...>(name)(arguments...);
  }
  template <class... A>
  auto address(const char* name) {
    void* found = dlsym(handle_, name);
    if (!found) fail(std::string("no ") + name);
    return reinterpret_cast<int (*)(A...)>(found);
  }

  cuda::Stream stream = nullptr;

 private:
  [[noreturn]] static void fail(const std::string& text) {
    std::fprintf(stderr, "shim_bench: %s\n", text.c_str());
    _exit(1);
  }

  void* handle_;
};

double nanosecondsEach(const std::function<void()>& once) {
  for (int i = 0; i < kCalls / 10; ++i) once();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kCalls; ++i) once();
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
  return took.count() / kCalls;
}

constexpr std::array kCases = {
    "passed on: cuCtxGetCurrent",        "cuMemGetInfo",
    "cuMemAlloc + cuMemFree, 64 KiB",    "cuMemAllocAsync + cuMemFreeAsync",
    "cuMemCreate + cuMemRelease, 2 MiB", "cuLaunchKernel"};
using Figures = std::array<double, kCases.size()>;

constexpr const char* kPtx = R"(.version 7.0
.target sm_70
.address_size 64
.visible .entry bench_nothing()
{
  ret;
}
)";

double launches(Driver& driver) {
  cuda::Module module = nullptr;
  cuda::Function function = nullptr;
  driver.call("cuModuleLoadData", &module, static_cast<const void*>(kPtx));
  driver.call("cuModuleGetFunction", &function, module, "bench_nothing");
  const auto launch =
      driver.address<cuda::Function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
                     unsigned, cuda::Stream, void**, void**>("cuLaunchKernel");
  void* none[1] = {};
  int count = 0;
  return nanosecondsEach([&] {
    launch(function, 1, 1, 1, 1, 1, 1, 0, driver.stream, none, nullptr);
    // The queue of a card is finite.
    if (++count % 512 == 0) driver.call("cuStreamSynchronize", driver.stream);
  });
}

Figures measure(const std::string& library) {
  Driver driver(library);
  cuda::Context context = nullptr;
  cuda::DevicePtr pointer = 0;
  cuda::MemHandle handle = 0;
  std::size_t free = 0, total = 0;
  cuda::AllocationProp prop{};
  prop.type = cuda::kAllocationPinned;
  prop.location = {cuda::kLocationDevice, 0};
  const auto current = driver.address<cuda::Context*>("cuCtxGetCurrent");
  const auto info = driver.address<std::size_t*, std::size_t*>("cuMemGetInfo_v2");
  const auto alloc = driver.address<cuda::DevicePtr*, std::size_t>("cuMemAlloc_v2");
  const auto release = driver.address<cuda::DevicePtr>("cuMemFree_v2");
  const auto allocAsync =
      driver.address<cuda::DevicePtr*, std::size_t, cuda::Stream>("cuMemAllocAsync");
  const auto freeAsync = driver.address<cuda::DevicePtr, cuda::Stream>("cuMemFreeAsync");
  const auto create = driver.address<cuda::MemHandle*, std::size_t, const cuda::AllocationProp*,
                                     unsigned long long>("cuMemCreate");
  const auto drop = driver.address<cuda::MemHandle>("cuMemRelease");
  return {nanosecondsEach([&] { current(&context); }),
          nanosecondsEach([&] { info(&free, &total); }),
          nanosecondsEach([&] { alloc(&pointer, 64 << 10), release(pointer); }),
          nanosecondsEach([&] {
            allocAsync(&pointer, 64 << 10, driver.stream), freeAsync(pointer, driver.stream);
          }),
          nanosecondsEach([&] { create(&handle, 2 << 20, &prop, 0), drop(handle); }),
          launches(driver)};
}

Figures inFreshProcess(const std::string& library) {
  int ends[2];
  if (pipe(ends) != 0) std::abort();
  const pid_t child = fork();
  if (child == 0) {
    const Figures figures = measure(library);
    const bool whole = write(ends[1], &figures, sizeof figures) == sizeof figures;
    _exit(whole ? 0 : 1);
  }
  close(ends[1]);
  Figures figures{};
  const bool whole = read(ends[0], &figures, sizeof figures) == sizeof figures;
  close(ends[0]);
  waitpid(child, nullptr, 0);
  if (!whole) std::exit(1);
  return figures;
}

void keepBest(Figures& best, const Figures& figures) {
  for (std::size_t i = 0; i < best.size(); ++i)
    best[i] = best[i] > 0 ? std::min(best[i], figures[i]) : figures[i];
}

void report(const Figures& bare, const Figures& shimmed) {
  std::printf("%-36s %10s %10s %8s %8s\n", "ns per call or pair, best", "without", "with", "added",
              "ratio");
  std::string json;
  for (std::size_t i = 0; i < kCases.size(); ++i) {
    std::printf("%-36s %10.1f %10.1f %8.1f %8.3f\n", kCases[i], bare[i], shimmed[i],
                shimmed[i] - bare[i], shimmed[i] / bare[i]);
    char entry[200];
    std::snprintf(entry, sizeof entry, "%s{\"case\":\"%s\",\"without_ns\":%.1f,\"with_ns\":%.1f}",
                  i ? "," : "", kCases[i], bare[i], shimmed[i]);
    json += entry;
  }
  std::printf("[%s]\n", json.c_str());
}

int run(int rounds) {
  const bypass::Instance instance(1024);
  Figures bare{}, shimmed{};
  for (int round = 0; round < rounds; ++round) {
    keepBest(bare, inFreshProcess(instance.privatePath()));
    keepBest(shimmed, inFreshProcess(instance.frontPath()));
  }
  std::printf("driver: %s, %d rounds in turns\n",
              bypass::onRealDriver() ? getenv("OKIBI_TEST_CUDA") : "fake", rounds);
  report(bare, shimmed);
  return 0;
}

}  // namespace
}  // namespace okibi::bench

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 10;
  if (rounds < 1 || rounds > 1000) {
    std::fprintf(stderr, "shim_bench: ROUNDS is %s, must be 1 to 1000\n", argv[1]);
    return 2;
  }
  return okibi::bench::run(rounds);
}
