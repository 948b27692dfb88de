#include "driver.h"

#include "kernel.h"
#include <dlfcn.h>

namespace matmul {
namespace {

constexpr unsigned kTile = 16;

}  // namespace

template <class... A>
bool Gpu::call(const char* function, A... arguments) {
  void* address = dlsym(library_, function);
  const int status = address ? reinterpret_cast<int (*)(A...)>(address)(arguments...) : 500;
  if (status != 0) failure_ = describe(function, status);
  return status == 0;
}

std::string Gpu::describe(const char* function, int status) {
  const char* name = nullptr;
  void* address = dlsym(library_, "cuGetErrorName");
  if (address) reinterpret_cast<int (*)(int, const char**)>(address)(status, &name);
  return std::string(function) + ": " + (name ? name : "error") + " (" + std::to_string(status) +
         ")";
}

Gpu::Gpu() {
  library_ = dlopen("libcuda.so.1", RTLD_NOW);
  if (!library_) {
    problem_ = "no NVIDIA driver in this container (" + std::string(dlerror()) +
               "): give the function a gpuConfig, on a machine with a card";
    return;
  }
  if (!prepare()) problem_ = "the card cannot be used: " + failure_;
}

bool Gpu::prepare() {
  int device = 0;
  void *context = nullptr, *module = nullptr;
  char name[256] = {};
  if (!call("cuInit", 0U) || !call("cuDeviceGet", &device, 0)) return false;
  if (!call("cuDeviceGetName", static_cast<char*>(name), static_cast<int>(sizeof name), device))
    return false;
  name_ = name;
  if (!call("cuCtxCreate_v2", &context, 0U, device)) return false;
  if (!call("cuModuleLoadData", &module, static_cast<const void*>(kKernel))) return false;
  return call("cuModuleGetFunction", &kernel_, module, "okibi_matmul");
}

Gpu::Memory Gpu::memory() {
  Memory memory;
  call("cuMemGetInfo_v2", &memory.free, &memory.total);
  return memory;
}

bool Gpu::multiply(std::uint32_t n, const std::vector<float>& a, const std::vector<float>& b,
                   std::vector<float>& c, std::string& error) {
  Pointer memory[3] = {};
  bool done = true;
  for (Pointer& each : memory) done = done && call("cuMemAlloc_v2", &each, sizeof(float) * n * n);
  done = done && run(n, a, b, c, memory);
  error = failure_;
  for (const Pointer each : memory) {
    if (each) call("cuMemFree_v2", each);
  }
  return done;
}

bool Gpu::run(std::uint32_t n, const std::vector<float>& a, const std::vector<float>& b,
              std::vector<float>& c, const Pointer (&memory)[3]) {
  const std::size_t bytes = sizeof(float) * n * n;
  Pointer device[3] = {memory[0], memory[1], memory[2]};
  void* arguments[] = {&device[0], &device[1], &device[2], &n};
  const unsigned blocks = (n + kTile - 1) / kTile;
  return call("cuMemcpyHtoD_v2", device[0], static_cast<const void*>(a.data()), bytes) &&
         call("cuMemcpyHtoD_v2", device[1], static_cast<const void*>(b.data()), bytes) &&
         call("cuLaunchKernel", kernel_, blocks, blocks, 1U, kTile, kTile, 1U, 0U,
              static_cast<void*>(nullptr), static_cast<void**>(arguments),
              static_cast<void**>(nullptr)) &&
         call("cuCtxSynchronize") &&
         call("cuMemcpyDtoH_v2", static_cast<void*>(c.data()), device[2], bytes);
}

}  // namespace matmul
