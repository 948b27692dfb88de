#include "shim/bind.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shim/ledger.h"

// These moved from libdl into libc with glibc 2.34; under their old version they are found in
// either.
__asm__(".symver dlopen,dlopen@GLIBC_2.2.5");
__asm__(".symver dlsym,dlsym@GLIBC_2.2.5");

namespace okibi::shim {
namespace {

Front* boundCuda = nullptr;

// All lists of hooks of a library.
template <class F>
void eachHook(Library library, F visit) {
  using List = HookList (*)();
  static constexpr List kCuda[] = {allocationHooks, poolHooks,    virtualMemoryHooks,
                                   arrayHooks,      contextHooks, graphHooks,
                                   reportHooks,     importHooks,  resolverHooks};
  static constexpr List kNvml[] = {nvmlHooks};
  const auto visitAll = [&](const List* lists, unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      const HookList hooks = lists[i]();
      for (unsigned k = 0; k < hooks.count; ++k) visit(hooks.first[k]);
    }
  };
  if (library == Library::Cuda)
    visitAll(kCuda, sizeof kCuda / sizeof *kCuda);
  else
    visitAll(kNvml, sizeof kNvml / sizeof *kNvml);
}

int refuseCuda() {
  return cuda::kOperatingSystem;
}

int refuseNvml() {
  return 4;  // NVML_ERROR_NO_PERMISSION
}

int absent() {
  return cuda::kNotFound;
}

// Harmless, and needed to say what went wrong.
bool allowedWithoutBudget(const char* name) {
  static constexpr const char* kNames[] = {"cuGetErrorString", "cuGetErrorName",
                                           "cuDriverGetVersion", "nvmlErrorString"};
  for (const char* allowed : kNames) {
    if (strcmp(name, allowed) == 0) return true;
  }
  return false;
}

void complain(const char* path, const char* fault) {
  char line[512];
  const int length =
      snprintf(line, sizeof line, "okibi: every GPU call is refused: %s %s\n", path, fault);
  if (length > 0) {
    const auto shown = static_cast<std::size_t>(length) < sizeof line
                           ? static_cast<std::size_t>(length)
                           : sizeof line - 1;
    [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, line, shown);
  }
}

void refuseAll(Front& front, void* real) {
  auto* refusal = reinterpret_cast<void*>(front.library == Library::Cuda ? refuseCuda : refuseNvml);
  for (std::uint32_t i = 0; i < front.count; ++i) {
    void* address =
        real && allowedWithoutBudget(front.name(i)) ? dlsym(real, front.name(i)) : nullptr;
    front.slotTable()[i] = address ? address : refusal;
  }
}

void passAll(Front& front, void* real) {
  for (std::uint32_t i = 0; i < front.count; ++i) {
    void* address = dlsym(real, front.name(i));
    // The library changed under a front that was made from another one.
    front.slotTable()[i] = address ? address : reinterpret_cast<void*>(absent);
  }
}

// By binary search: names of a front are sorted.
void** slotOf(Front& front, const char* name) {
  std::uint32_t low = 0, high = front.count;
  while (low < high) {
    const std::uint32_t middle = low + (high - low) / 2;
    const int order = strcmp(front.name(middle), name);
    if (order == 0) return front.slotTable() + middle;
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return nullptr;
}

// "_v2", "_ptsz", "_v2_ptsz", "_ptds" or nothing.
bool isVariantSuffix(const char* rest) {
  if (rest[0] == '_' && rest[1] == 'v') {
    rest += 2;
    while (*rest >= '0' && *rest <= '9') ++rest;
  }
  return *rest == 0 || strcmp(rest, "_ptsz") == 0 || strcmp(rest, "_ptds") == 0;
}

bool isVariantOf(const char* name, const char* symbol) {
  const std::size_t length = strlen(symbol);
  return strncmp(name, symbol, length) == 0 && isVariantSuffix(name + length);
}

bool perThread(const char* name) {
  const std::size_t length = strlen(name);
  return length > 5 &&
         (strcmp(name + length - 5, "_ptsz") == 0 || strcmp(name + length - 5, "_ptds") == 0);
}

// The hook for an address, if the hook's name says the same as `symbol` (or `anyName`).
const Hook* byAddress(const char* symbol, const void* address, bool anyName) {
  const Hook* found = nullptr;
  eachHook(Library::Cuda, [&](const Hook& hook) {
    if (hook.ours && *hook.real == address && (anyName || isVariantOf(hook.name, symbol)))
      found = &hook;
  });
  return found;
}

// Whether a function that is not replaced has this address. Linkers may give one address to
// functions that do the same.
bool passesAs(const char* symbol, const void* address) {
  for (std::uint32_t i = 0; boundCuda && i < boundCuda->count; ++i) {
    if (boundCuda->slotTable()[i] == address && isVariantOf(boundCuda->name(i), symbol))
      return true;
  }
  return false;
}

bool isExported(const void* address) {
  for (std::uint32_t i = 0; boundCuda && i < boundCuda->count; ++i) {
    if (boundCuda->slotTable()[i] == address) return true;
  }
  return false;
}

// First CUDA version in which `symbol` means this hook; 0: never.
int meansSince(const Hook& hook, const char* symbol) {
  if (hook.alias && strcmp(hook.alias, symbol) == 0) return hook.aliasSince;
  return isVariantOf(hook.name, symbol) ? hook.since : 0;
}

const Hook* byName(const char* symbol, int version, bool wantPerThread) {
  const Hook* best = nullptr;
  int bestSince = 0;
  eachHook(Library::Cuda, [&](const Hook& hook) {
    const int since = hook.ours ? meansSince(hook, symbol) : 0;
    if (since == 0 || since > version || (perThread(hook.name) && !wantPerThread)) return;
    const bool samePerThread = best && perThread(hook.name) == perThread(best->name);
    if (best && !(samePerThread ? since >= bestSince : perThread(hook.name))) return;
    best = &hook;
    bestSince = since;
  });
  return best;
}

void bindTo(Front& front, void* real) {
  passAll(front, real);
  eachHook(front.library, [&](const Hook& hook) {
    *hook.real = dlsym(real, hook.name);
    void** slot = hook.ours && *hook.real ? slotOf(front, hook.name) : nullptr;
    if (slot) *slot = hook.ours;
  });
}

}  // namespace

void* hookFor(const char* symbol, void* address, int version, std::uint64_t flags) {
  if (const Hook* hook = byAddress(symbol, address, false)) return hook->ours;
  if (passesAs(symbol, address)) return nullptr;
  if (const Hook* hook = byAddress(symbol, address, true)) return hook->ours;
  if (isExported(address)) return nullptr;
  const Hook* hook = byName(symbol, version, (flags & cuda::kResolvePerThreadStream) != 0);
  if (!hook) return nullptr;
  if (!*hook->real) *hook->real = address;
  return hook->ours;
}

}  // namespace okibi::shim

extern "C" __attribute__((visibility("default"))) void okibi_shim_bind(okibi::shim::Front* front) {
  using namespace okibi::shim;
  if (front->magic != kFrontMagic || front->version != kFrontVersion) {
    // Its slots still lead to its own refusal.
    complain("the front library", "was made by another version of Okibi");
    return;
  }
  const char* realPath = front->text(front->realPath);
  void* real = dlopen(realPath, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  const char* budgetPath = front->text(front->budgetPath);
  const char* fault = openBudget(budgetPath);
  if (!real)
    complain(realPath, "cannot be loaded");
  else if (fault)
    complain(budgetPath, fault);
  if (!real || fault) {
    refuseAll(*front, real);
    return;
  }
  if (front->library == Library::Cuda) boundCuda = front;
  bindTo(*front, real);
}
