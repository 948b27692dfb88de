// What cuGetProcAddress answers through the shim: the variant that was asked for, and the version
// rules of the driver. Beyond the public interface it uses two functions that only the fake driver
// has, where it finds them.

#include <cstring>

#include <dlfcn.h>

#include "gpu_bypass/probe.h"

namespace okibi::bypass {
namespace {

using Resolve = int (*)(const char*, void**, int, std::uint64_t, int*);

int failures = 0;

void expect(bool holds, const char* what) {
  if (holds) return;
  ++failures;
  say("wrong: %s", what);
}

const char* lastVariant() {
  void* address = getter()("cuOkibiLastVariant");
  return address ? reinterpret_cast<const char* (*)()>(address)() : nullptr;
}

void* resolved(const char* name, int version, std::uint64_t flags, int* found = nullptr) {
  const auto resolve = reinterpret_cast<Resolve>(getter()("cuGetProcAddress_v2"));
  void* address = nullptr;
  int local = 0;
  resolve(name, &address, version, flags, found ? found : &local);
  return address;
}

void checkStreams() {
  using Allocate = int (*)(cuda::DevicePtr*, std::size_t, cuda::Stream);
  for (const bool perThread : {false, true}) {
    const std::uint64_t flags =
        perThread ? cuda::kResolvePerThreadStream : cuda::kResolveLegacyStream;
    const auto allocate = reinterpret_cast<Allocate>(resolved("cuMemAllocAsync", 13000, flags));
    expect(allocate != nullptr, "cuMemAllocAsync is resolved");
    if (!allocate) return;
    cuda::DevicePtr pointer = 0;
    expect(allocate(&pointer, 4096, nullptr) == cuda::kSuccess, "a resolved cuMemAllocAsync works");
    const char* variant = lastVariant();
    const char* wanted = perThread ? "cuMemAllocAsync_ptsz" : "cuMemAllocAsync";
    if (variant) expect(strcmp(variant, wanted) == 0, wanted);
    call(perThread ? "cuMemFreeAsync_ptsz" : "cuMemFreeAsync", pointer,
         static_cast<cuda::Stream>(nullptr));
  }
}

void checkVersions() {
  int found = -1;
  expect(resolved("cuMemAllocAsync", 10000, 0, &found) == nullptr,
         "a version before 11.2 has no cuMemAllocAsync");
  expect(found == cuda::kResolveVersionTooLow, "... and says that the version is too low");
  found = -1;
  expect(resolved("cuNoSuchThing", 13000, 0, &found) == nullptr, "no cuNoSuchThing");
  expect(found == cuda::kResolveNotFound, "... and says that it was not found");
}

// The newer interface under the older name must not be taken for the older one: they differ in
// arguments.
void checkRenamed() {
  using Instantiate = int (*)(cuda::GraphExec*, cuda::Graph, unsigned long long);
  const auto instantiate = reinterpret_cast<Instantiate>(resolved("cuGraphInstantiate", 12000, 0));
  cuda::Graph graph = nullptr;
  cuda::GraphExec exec = nullptr;
  call("cuGraphCreate", &graph, 0u);
  expect(instantiate && instantiate(&exec, graph, 0) == cuda::kSuccess,
         "cuGraphInstantiate of CUDA 12");
}

void checkUnknown() {
  void* address = getter()("cuOkibiFutureCall");
  if (!address) return;
  const auto future =
      reinterpret_cast<int (*)(int, double, long, long, long, long, long, long, double)>(address);
  expect(future(1, 2.0, 3, 4, 5, 6, 7, 8, 9.0) == 45,
         "an unknown function passes with all its arguments");
}

}  // namespace

int checkResolving() {
  checkStreams();
  checkVersions();
  checkRenamed();
  checkUnknown();
  say("failures %d", failures);
  return failures ? 1 : 0;
}

}  // namespace okibi::bypass
