// cuGetProcAddress: the driver is asked first, because versions and per-thread streams are its
// business; the address it gives is then exchanged for the hook of that very function.

#include <string.h>

#include "shim/bind.h"

namespace okibi::shim {
namespace {

bool replace(const char* symbol, void** function, int version, std::uint64_t flags,
             cuda::Status status) {
  if (status != cuda::kSuccess || !function || !*function || !symbol) return false;
  if (void* ours = hookFor(symbol, *function, version, flags)) *function = ours;
  return true;
}

template <Name N>
cuda::Status getProcAddress(const char* symbol, void** function, int version, std::uint64_t flags) {
  const cuda::Status status = call<N>(symbol, function, version, flags);
  replace(symbol, function, version, flags, status);
  return status;
}

template <Name N>
cuda::Status getProcAddressV2(const char* symbol, void** function, int version, std::uint64_t flags,
                              int* found) {
  const cuda::Status status = call<N>(symbol, function, version, flags, found);
  replace(symbol, function, version, flags, status);
  return status;
}

const Hook kHooks[] = {
    OKIBI_HOOK("cuGetProcAddress", getProcAddress, 11030),
    OKIBI_HOOK("cuGetProcAddress_v2", getProcAddressV2, 12000),
};

}  // namespace

HookList resolverHooks() {
  return {kHooks, sizeof kHooks / sizeof *kHooks};
}

}  // namespace okibi::shim
