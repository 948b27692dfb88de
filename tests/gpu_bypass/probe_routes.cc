#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <dlfcn.h>

#include "gpu_bypass/probe_api.h"

#ifdef OKIBI_LINKED_PROBE
// Bound by the loader at start, through the program's own table.
extern "C" int cuMemAlloc_v2(okibi::cuda::DevicePtr*, std::size_t);
#endif

namespace okibi::bypass {
namespace {

void* openLibrary(const std::string& library, int extra) {
  void* handle = dlopen(library.c_str(), RTLD_NOW | extra);
  if (handle) return handle;
  printf("no library: %s\n", dlerror());
  exit(71);
}

// cuGetProcAddress wants names without their version; our callers name the exported variant.
std::string baseName(const char* name) {
  std::string base = name;
  for (const char* suffix : {"_v2", "_v3", "_v4"}) {
    if (base.ends_with(suffix)) base.resize(base.size() - 3);
  }
  return base;
}

// The version whose interface our callers speak: cuCtxCreate has had other arguments since 11.4.
int versionFor(const std::string& base) {
  return base == "cuCtxCreate" ? 11000 : 13000;
}

Getter byResolver(void* handle) {
  using Resolve = int (*)(const char*, void**, int, std::uint64_t, int*);
  const auto resolve = reinterpret_cast<Resolve>(dlsym(handle, "cuGetProcAddress_v2"));
  return [resolve](const char* name) {
    void* address = nullptr;
    int found = 0;
    const std::string base = baseName(name);
    const int status =
        resolve(base.c_str(), &address, versionFor(base), cuda::kResolveLegacyStream, &found);
    return status == cuda::kSuccess ? address : nullptr;
  };
}

// The first interface, asked of itself.
Getter byFirstResolver(void* handle) {
  using Resolve = int (*)(const char*, void**, int, std::uint64_t);
  const auto first = reinterpret_cast<Resolve>(dlsym(handle, "cuGetProcAddress"));
  void* again = nullptr;
  if (first("cuGetProcAddress", &again, 11030, 0) != cuda::kSuccess)
    return [](const char*) -> void* { return nullptr; };
  const auto resolve = reinterpret_cast<Resolve>(again);
  return [resolve](const char* name) {
    void* address = nullptr;
    const std::string base = baseName(name);
    return resolve(base.c_str(), &address, versionFor(base), 0) == cuda::kSuccess ? address
                                                                                  : nullptr;
  };
}

// dlsym itself through dlvsym: goes round whoever replaced dlsym.
Getter byVersionedDlsym(void* handle) {
  using Dlsym = void* (*)(void*, const char*);
  const auto fresh = reinterpret_cast<Dlsym>(dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.2.5"));
  if (!fresh) return [](const char*) -> void* { return nullptr; };
  return [=](const char* name) { return fresh(handle, name); };
}

#ifdef OKIBI_LINKED_PROBE
Getter byLinking() {
  return [](const char* name) {
    return strcmp(name, "cuMemAlloc_v2") == 0 ? reinterpret_cast<void*>(&cuMemAlloc_v2)
                                              : dlsym(RTLD_DEFAULT, name);
  };
}
#endif

Getter byDlsym(void* handle) {
  return [=](const char* name) { return dlsym(handle, name); };
}

}  // namespace

Getter openRoute(const std::string& route) {
  const std::size_t colon = route.find(':');
  const std::string kind = route.substr(0, colon);
  const std::string library = colon == std::string::npos ? "libcuda.so.1" : route.substr(colon + 1);
#ifdef OKIBI_LINKED_PROBE
  if (kind == "linked") return byLinking();
#endif
  if (kind == "deepbind") return byDlsym(openLibrary(library, RTLD_DEEPBIND));
#ifndef OKIBI_STATIC_PROBE
  if (kind == "dlmopen") {
    void* handle = dlmopen(LM_ID_NEWLM, library.c_str(), RTLD_NOW);
    if (!handle) printf("no library: %s\n", dlerror());
    return handle ? byDlsym(handle) : Getter([](const char*) -> void* { return nullptr; });
  }
#endif
  void* handle = openLibrary(library, 0);
  if (kind == "resolver") return byResolver(handle);
  if (kind == "resolver1") return byFirstResolver(handle);
  if (kind == "dlvsym") return byVersionedDlsym(handle);
  return byDlsym(handle);
}

}  // namespace okibi::bypass
