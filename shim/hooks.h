#pragma once
// How a hook is written. One C++ template per behaviour, instantiated with the driver's name of
// each variant that behaves so ("cuMemAllocAsync", "cuMemAllocAsync_ptsz"): every variant keeps its
// own address of the real function.

#include <cstddef>

#include "shim/cuda_abi.h"
#include "shim/front.h"

namespace okibi::shim {

// A name as a template argument.
template <std::size_t N>
struct Name {
  char text[N];
  constexpr Name(const char (&from)[N]) {  // NOLINT(google-explicit-constructor)
    for (std::size_t i = 0; i < N; ++i) text[i] = from[i];
  }
};

// Address of the real function; null where the host's driver has none.
template <Name N>
inline void* realAddress = nullptr;

// kNotFound where the host's driver lacks it.
template <Name N, class... A>
int call(A... arguments) {
  if (!realAddress<N>) return cuda::kNotFound;
  return reinterpret_cast<int (*)(A...)>(realAddress<N>)(arguments...);
}

struct Hook {
  const char* name;
  void* ours;  // null: not replaced, only its address is wanted
  void** real;
  int since;  // first CUDA version whose cuGetProcAddress answers with this variant
  // A newer interface under an older name: what the resolver means by `alias` from `aliasSince` on.
  const char* alias = nullptr;
  int aliasSince = 0;
};

#define OKIBI_HOOK(name, behaviour, since)                                     \
  Hook {                                                                       \
    name, reinterpret_cast<void*>(&behaviour<name>), &realAddress<name>, since \
  }
#define OKIBI_HOOK_ALIASED(name, behaviour, since, alias, aliasSince)                             \
  Hook {                                                                                          \
    name, reinterpret_cast<void*>(&behaviour<name>), &realAddress<name>, since, alias, aliasSince \
  }
#define OKIBI_WANTED(name) Hook{name, nullptr, &realAddress<name>, 0}

struct HookList {
  const Hook* first;
  unsigned count;
};

// One list per file of hooks.
HookList allocationHooks();
HookList poolHooks();
HookList virtualMemoryHooks();
HookList arrayHooks();
HookList contextHooks();
HookList graphHooks();
HookList reportHooks();
HookList importHooks();
HookList resolverHooks();
HookList nvmlHooks();

// A driver that calls its own exported functions through the loader would reach our hooks again:
// the inner call of a thread goes straight to the driver.
class Entry {
 public:
  Entry() : nested_(depth_++ > 0) {}
  ~Entry() { --depth_; }
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;
  bool nested() const { return nested_; }

 private:
  static __thread int depth_ __attribute__((tls_model("initial-exec")));
  bool nested_;
};

}  // namespace okibi::shim
