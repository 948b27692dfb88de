#pragma once
// The driver's library by dlopen, for the experiments: OKIBI_TEST_CUDA names it, otherwise it is
// "libcuda.so.1". Every program of this folder builds alone, with a C++20 compiler and nothing
// else.

#include <cstdio>
#include <cstdlib>
#include <string>

#include <dlfcn.h>

#include "shim/cuda_abi.h"

namespace okibi::gpubench {

inline std::string driverPath() {
  const char* named = getenv("OKIBI_TEST_CUDA");
  return named && *named ? named : "libcuda.so.1";
}

inline void* driverLibrary() {
  static void* const library = [] {
    void* opened = dlopen(driverPath().c_str(), RTLD_NOW);
    if (!opened) {
      std::fprintf(stderr, "not run: no GPU (%s)\n", dlerror());
      std::exit(77);
    }
    return opened;
  }();
  return library;
}

// call("cuMemAlloc_v2", &pointer, bytes); 500 (not found) where the driver lacks it.
template <class... A>
int call(const char* name, A... arguments) {
  void* address = dlsym(driverLibrary(), name);
  return address ? reinterpret_cast<int (*)(A...)>(address)(arguments...) : cuda::kNotFound;
}

inline std::string errorName(int status) {
  const char* name = nullptr;
  call("cuGetErrorName", status, &name);
  return std::to_string(status) + (name ? std::string(" ") + name : "");
}

// Written by hand. okibi_spin keeps one thread busy for a time; okibi_increment adds one to each of
// `count` numbers.
inline constexpr char kKernels[] = R"(
.version 7.0
.target sm_70
.address_size 64

.visible .entry okibi_spin(
  .param .u64 ns
)
{
  .reg .pred %p;
  .reg .b64 %start, %now, %ns;
  ld.param.u64 %ns, [ns];
  mov.u64 %start, %globaltimer;
again:
  mov.u64 %now, %globaltimer;
  sub.u64 %now, %now, %start;
  setp.lt.u64 %p, %now, %ns;
  @%p bra again;
  ret;
}

.visible .entry okibi_increment(
  .param .u64 data,
  .param .u64 count
)
{
  .reg .pred %p;
  .reg .b32 %t, %k, %step;
  .reg .b64 %data, %count, %i, %stride, %at;
  ld.param.u64 %data, [data];
  ld.param.u64 %count, [count];
  cvta.to.global.u64 %data, %data;
  mov.u32 %t, %ctaid.x;
  mov.u32 %k, %ntid.x;
  mov.u32 %step, %tid.x;
  mad.lo.u32 %t, %t, %k, %step;
  cvt.u64.u32 %i, %t;
  mov.u32 %t, %nctaid.x;
  mul.lo.u32 %step, %t, %k;
  cvt.u64.u32 %stride, %step;
next:
  setp.ge.u64 %p, %i, %count;
  @%p bra done;
  shl.b64 %at, %i, 2;
  add.u64 %at, %data, %at;
  ld.global.u32 %t, [%at];
  add.u32 %t, %t, 1;
  st.global.u32 [%at], %t;
  add.u64 %i, %i, %stride;
  bra next;
done:
  ret;
}
)";

}  // namespace okibi::gpubench
