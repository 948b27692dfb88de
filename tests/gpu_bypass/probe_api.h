#pragma once
// How the bypass probe reaches the driver: one function per route, all ending in "give me the
// address of this name".

#include <functional>
#include <string>

#include "shim/cuda_abi.h"

namespace okibi::bypass {

using Getter = std::function<void*(const char*)>;

// ROUTE[:LIBRARY]; without LIBRARY it is "libcuda.so.1". Routes: dlsym, dlvsym, resolver,
// resolver1, deepbind, dlmopen. Ends the program with a message when the library cannot be had.
Getter openRoute(const std::string& route);

inline Getter& getter() {
  static Getter get;
  return get;
}

// call("cuMemAlloc_v2", &pointer, bytes): exits with 70 where the driver has no such function.
template <class... A>
int call(const char* name, A... arguments) {
  void* address = getter()(name);
  if (!address) {
    fprintf(stderr, "no %s\n", name);
    exit(70);
  }
  return reinterpret_cast<int (*)(A...)>(address)(arguments...);
}

}  // namespace okibi::bypass
