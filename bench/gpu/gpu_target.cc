// The process that experiments are done to. Reads orders from its standard input, a line each;
// answers "ok", "ok NUMBER" or "error TEXT", a line each:
//   init | context | cublas        cuInit | a context, the kernels | a cuBLAS handle
//   alloc MB | managed MB          memory, set to a pattern
//   fill MB                        blocks of MB until refused: the number of blocks
//   work                           one step on every buffer: two streams, an event between them, a
//   captured graph sum                            a checksum of all buffers, through pinned host
//   memory spin MS                        a kernel of that length, not waited for turn MS the same,
//   waited for loop S                         kernels of 2 ms for S seconds: how many launches N
//   empty launches: nanoseconds each free | total | processors      what the driver says of the
//   card

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "bench/gpu/driver.h"

namespace okibi::gpubench {
namespace {

struct Buffer {
  cuda::DevicePtr at;
  std::size_t bytes;
};

constexpr unsigned kPattern = 0x01020304;

class Worker {
 public:
  std::string answer(const std::string& line) {
    std::istringstream words(line);
    std::string order;
    double amount = 0;
    words >> order >> amount;
    failure_.clear();
    const double value = obey(order, amount);
    if (!failure_.empty()) return "error " + failure_;
    char text[64];
    std::snprintf(text, sizeof text, value < 0 ? "ok" : "ok %.17g", value);
    return text;
  }

 private:
  // Negative: nothing to say.
  double obey(const std::string& order, double amount) {
    if (order == "init") return check("cuInit", call("cuInit", 0u)), -1;
    if (order == "context") return context(), -1;
    if (order == "cublas") return cublas(), -1;
    if (order == "alloc") return allocate(amount, false), -1;
    if (order == "managed") return allocate(amount, true), -1;
    if (order == "fill") return fill(amount);
    if (order == "work") return work(), -1;
    if (order == "sum") return sum();
    if (order == "spin") return spin(amount * 1e6), -1;
    if (order == "turn") return turn(amount), -1;
    if (order == "loop") return loop(amount);
    if (order == "launches") return launches(amount);
    if (order == "free" || order == "total") return memory(order == "free");
    if (order == "processors") return processors();
    failure_ = "unknown order " + order;
    return -1;
  }

  bool check(const char* what, int status) {
    if (status != 0 && failure_.empty()) failure_ = std::string(what) + " " + errorName(status);
    return status == 0;
  }

  void context() {
    cuda::Context made = nullptr;
    cuda::Module module = nullptr;
    if (!check("cuCtxCreate", call("cuCtxCreate_v2", &made, 0u, 0))) return;
    check("cuModuleLoadData",
          call("cuModuleLoadData", &module, static_cast<const void*>(kKernels)));
    check("okibi_spin", call("cuModuleGetFunction", &spin_, module, "okibi_spin"));
    check("okibi_increment", call("cuModuleGetFunction", &increment_, module, "okibi_increment"));
    for (cuda::Stream& stream : streams_)
      check("cuStreamCreate", call("cuStreamCreate", &stream, 1u));
    check("cuEventCreate", call("cuEventCreate", &event_, 0u));
  }

  void cublas() {
    for (const char* name : {"libcublas.so.13", "libcublas.so.12", "libcublas.so"}) {
      void* library = dlopen(name, RTLD_NOW);
      void* create = library ? dlsym(library, "cublasCreate_v2") : nullptr;
      if (!create) continue;
      check("cublasCreate", reinterpret_cast<int (*)(void**)>(create)(&cublas_));
      return;
    }
    failure_ = "no cuBLAS";
  }

  void allocate(double megabytes, bool managed) {
    const auto bytes = static_cast<std::size_t>(megabytes * (1 << 20));
    cuda::DevicePtr at = 0;
    const int status =
        managed ? call("cuMemAllocManaged", &at, bytes, 1u) : call("cuMemAlloc_v2", &at, bytes);
    if (!check("allocate", status)) return;
    check("cuMemsetD32", call("cuMemsetD32_v2", at, kPattern, bytes / 4));
    buffers_.push_back({at, bytes});
  }

  double fill(double megabytes) {
    const auto bytes = static_cast<std::size_t>(megabytes * (1 << 20));
    int blocks = 0;
    for (cuda::DevicePtr at = 0; call("cuMemAlloc_v2", &at, bytes) == 0;) ++blocks;
    return blocks;
  }

  bool launchIncrement(const Buffer& buffer, cuda::Stream stream) {
    cuda::DevicePtr at = buffer.at;
    std::uint64_t count = buffer.bytes / 4;
    void* arguments[] = {&at, &count};
    return check("launch",
                 call("cuLaunchKernel", increment_, 256u, 1u, 1u, 256u, 1u, 1u, 0u, stream,
                      static_cast<void**>(arguments), static_cast<void**>(nullptr)));
  }

  // Captured once for the buffers there are, so that addresses in the graph are old ones after a
  // restore.
  bool capture() {
    cuda::Graph graph = nullptr;
    if (!check("begin capture", call("cuStreamBeginCapture_v2", streams_[1], 2))) return false;
    for (const Buffer& buffer : buffers_) launchIncrement(buffer, streams_[1]);
    return check("end capture", call("cuStreamEndCapture", streams_[1], &graph)) &&
           check("instantiate", call("cuGraphInstantiateWithFlags", &graph_, graph, 0ull));
  }

  void work() {
    if (!graph_ && !capture()) return;
    for (const Buffer& buffer : buffers_) launchIncrement(buffer, streams_[0]);
    check("record", call("cuEventRecord", event_, streams_[0]));
    check("wait", call("cuStreamWaitEvent", streams_[1], event_, 0u));
    check("graph launch", call("cuGraphLaunch", graph_, streams_[1]));
    check("synchronize", call("cuStreamSynchronize", streams_[1]));
  }

  double sum() {
    constexpr std::size_t kPiece = 8 << 20;
    if (!pinned_ && !check("cuMemHostAlloc", call("cuMemHostAlloc", &pinned_, kPiece, 0u)))
      return -1;
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const Buffer& buffer : buffers_) {
      for (std::size_t done = 0; done < buffer.bytes; done += kPiece) {
        const std::size_t bytes = std::min(kPiece, buffer.bytes - done);
        if (!check("copy", call("cuMemcpyDtoH_v2", pinned_, buffer.at + done, bytes))) return -1;
        const auto* words = static_cast<const std::uint32_t*>(pinned_);
        for (std::size_t i = 0; i < bytes / 4; ++i) hash = (hash ^ words[i]) * 0x100000001b3;
      }
    }
    // What a double carries exactly.
    return static_cast<double>(hash >> 12);
  }

  void spin(double ns) {
    auto length = static_cast<std::uint64_t>(ns);
    void* arguments[] = {&length};
    check("launch", call("cuLaunchKernel", spin_, 1u, 1u, 1u, 1u, 1u, 1u, 0u, streams_[0],
                         static_cast<void**>(arguments), static_cast<void**>(nullptr)));
  }

  void turn(double ms) {
    spin(ms * 1e6);
    check("synchronize", call("cuStreamSynchronize", streams_[0]));
  }

  double loop(double seconds) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    int turns = 0;
    while (std::chrono::steady_clock::now() < until && failure_.empty()) turn(2), ++turns;
    return turns;
  }

  double launches(double count) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < count && failure_.empty(); ++i) {
      spin(0);
      if (i % 512 == 511) call("cuStreamSynchronize", streams_[0]);
    }
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
    return took.count() / count;
  }

  double memory(bool wantFree) {
    std::size_t free = 0, total = 0;
    check("cuMemGetInfo", call("cuMemGetInfo_v2", &free, &total));
    return static_cast<double>(wantFree ? free : total);
  }

  double processors() {
    int count = 0;
    check("attribute", call("cuDeviceGetAttribute", &count, 16, 0));
    return count;
  }

  std::string failure_;
  cuda::Function spin_ = nullptr, increment_ = nullptr;
  cuda::Stream streams_[2] = {};
  cuda::Event event_ = nullptr;
  cuda::GraphExec graph_ = nullptr;
  std::vector<Buffer> buffers_;
  void *pinned_ = nullptr, *cublas_ = nullptr;
};

}  // namespace
}  // namespace okibi::gpubench

int main() {
  okibi::gpubench::Worker worker;
  for (std::string line; std::getline(std::cin, line);)
    std::cout << worker.answer(line) << std::endl;
}
