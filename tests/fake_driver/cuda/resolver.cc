// cuGetProcAddress: by name, version asked for and kind of default stream, from a table of our own.
// The fake never looks itself up through dlsym: a preloaded shim would answer, and the test would
// prove nothing.

#include <cstring>

#include <sys/mman.h>

#include "shim/cuda_abi.h"

// Name of each exported function, and the CUDA version that brought it (the public header's
// typedefs carry it).
#define OKIBI_FAKE_ENTRIES(X)                      \
  X(cuArray3DCreate, 2000)                         \
  X(cuArray3DCreate_v2, 3020)                      \
  X(cuArrayCreate, 2000)                           \
  X(cuArrayCreate_v2, 3020)                        \
  X(cuArrayDestroy, 2000)                          \
  X(cuCheckpointProcessCheckpoint, 12080)          \
  X(cuCheckpointProcessGetRestoreThreadId, 12080)  \
  X(cuCheckpointProcessGetState, 12080)            \
  X(cuCheckpointProcessLock, 12080)                \
  X(cuCheckpointProcessRestore, 12080)             \
  X(cuCheckpointProcessUnlock, 12080)              \
  X(cuCtxCreate, 2000)                             \
  X(cuCtxCreate_v2, 3020)                          \
  X(cuCtxCreate_v3, 11040)                         \
  X(cuCtxCreate_v4, 12050)                         \
  X(cuCtxDestroy, 2000)                            \
  X(cuCtxDestroy_v2, 4000)                         \
  X(cuCtxGetCurrent, 2000)                         \
  X(cuCtxGetDevice, 2000)                          \
  X(cuCtxPopCurrent_v2, 3020)                      \
  X(cuCtxPushCurrent_v2, 3020)                     \
  X(cuCtxSetCurrent, 2000)                         \
  X(cuCtxSynchronize, 2000)                        \
  X(cuCtxSynchronize_v2, 13000)                    \
  X(cuDeviceGet, 2000)                             \
  X(cuDeviceGetAttribute, 2000)                    \
  X(cuDeviceGetCount, 2000)                        \
  X(cuDeviceGetDefaultMemPool, 11020)              \
  X(cuDeviceGetGraphMemAttribute, 11040)           \
  X(cuDeviceGetMemPool, 11020)                     \
  X(cuDeviceGetName, 2000)                         \
  X(cuDeviceGetUuid, 9020)                         \
  X(cuDeviceGetUuid_v2, 11040)                     \
  X(cuDeviceGraphMemTrim, 11040)                   \
  X(cuDevicePrimaryCtxRelease, 7000)               \
  X(cuDevicePrimaryCtxRelease_v2, 11000)           \
  X(cuDevicePrimaryCtxReset, 7000)                 \
  X(cuDevicePrimaryCtxReset_v2, 11000)             \
  X(cuDevicePrimaryCtxRetain, 7000)                \
  X(cuDeviceSetMemPool, 11020)                     \
  X(cuDeviceTotalMem, 2000)                        \
  X(cuDeviceTotalMem_v2, 3020)                     \
  X(cuDriverGetVersion, 2000)                      \
  X(cuEventCreate, 2000)                           \
  X(cuEventDestroy_v2, 3020)                       \
  X(cuEventElapsedTime, 2000)                      \
  X(cuEventRecord, 2000)                           \
  X(cuEventSynchronize, 2000)                      \
  X(cuGetErrorName, 6000)                          \
  X(cuGetErrorString, 6000)                        \
  X(cuGraphAddChildGraphNode, 10000)               \
  X(cuGraphAddMemAllocNode, 11040)                 \
  X(cuGraphAddMemFreeNode, 11040)                  \
  X(cuGraphAddNode, 12020)                         \
  X(cuGraphAddNode_v2, 12030)                      \
  X(cuGraphChildGraphNodeGetGraph, 10000)          \
  X(cuGraphCreate, 10000)                          \
  X(cuGraphDestroy, 10000)                         \
  X(cuGraphExecDestroy, 10000)                     \
  X(cuGraphGetNodes, 10000)                        \
  X(cuGraphInstantiate, 10000)                     \
  X(cuGraphInstantiateWithFlags, 11040)            \
  X(cuGraphInstantiateWithParams, 12000)           \
  X(cuGraphInstantiateWithParams_ptsz, 12000)      \
  X(cuGraphInstantiate_v2, 11000)                  \
  X(cuGraphLaunch, 10000)                          \
  X(cuGraphLaunch_ptsz, 10000)                     \
  X(cuGraphMemAllocNodeGetParams, 11040)           \
  X(cuGraphNodeGetType, 10000)                     \
  X(cuGraphUpload, 11010)                          \
  X(cuGraphUpload_ptsz, 11010)                     \
  X(cuImportExternalMemory, 10000)                 \
  X(cuInit, 2000)                                  \
  X(cuIpcCloseMemHandle, 4010)                     \
  X(cuIpcGetMemHandle, 4010)                       \
  X(cuIpcOpenMemHandle, 4010)                      \
  X(cuIpcOpenMemHandle_v2, 11000)                  \
  X(cuLaunchKernel, 4000)                          \
  X(cuLaunchKernelEx, 11060)                       \
  X(cuLaunchKernel_ptsz, 7000)                     \
  X(cuMemAddressFree, 10020)                       \
  X(cuMemAddressReserve, 10020)                    \
  X(cuMemAlloc, 2000)                              \
  X(cuMemAllocAsync, 11020)                        \
  X(cuMemAllocAsync_ptsz, 11020)                   \
  X(cuMemAllocFromPoolAsync, 11020)                \
  X(cuMemAllocFromPoolAsync_ptsz, 11020)           \
  X(cuMemAllocHost_v2, 3020)                       \
  X(cuMemAllocManaged, 6000)                       \
  X(cuMemAllocPitch_v2, 3020)                      \
  X(cuMemAlloc_v2, 3020)                           \
  X(cuMemCreate, 10020)                            \
  X(cuMemExportToShareableHandle, 10020)           \
  X(cuMemFree, 2000)                               \
  X(cuMemFreeAsync, 11020)                         \
  X(cuMemFreeAsync_ptsz, 11020)                    \
  X(cuMemFreeHost, 2000)                           \
  X(cuMemFree_v2, 3020)                            \
  X(cuMemGetAddressRange_v2, 3020)                 \
  X(cuMemGetAllocationGranularity, 10020)          \
  X(cuMemGetAllocationPropertiesFromHandle, 10020) \
  X(cuMemGetInfo, 2000)                            \
  X(cuMemGetInfo_v2, 3020)                         \
  X(cuMemHostAlloc, 2000)                          \
  X(cuMemHostRegister_v2, 3020)                    \
  X(cuMemHostUnregister, 2000)                     \
  X(cuMemImportFromShareableHandle, 10020)         \
  X(cuMemMap, 10020)                               \
  X(cuMemPoolCreate, 11020)                        \
  X(cuMemPoolDestroy, 11020)                       \
  X(cuMemPoolGetAttribute, 11020)                  \
  X(cuMemPoolImportFromShareableHandle, 11020)     \
  X(cuMemPoolImportPointer, 11020)                 \
  X(cuMemPoolSetAttribute, 11020)                  \
  X(cuMemPoolTrimTo, 11020)                        \
  X(cuMemRelease, 10020)                           \
  X(cuMemRetainAllocationHandle, 11000)            \
  X(cuMemSetAccess, 10020)                         \
  X(cuMemUnmap, 10020)                             \
  X(cuMemcpyDtoD_v2, 3020)                         \
  X(cuMemcpyDtoHAsync_v2, 3020)                    \
  X(cuMemcpyDtoH_v2, 3020)                         \
  X(cuMemcpyHtoDAsync_v2, 3020)                    \
  X(cuMemcpyHtoD_v2, 3020)                         \
  X(cuMemsetD32_v2, 3020)                          \
  X(cuMemsetD8_v2, 3020)                           \
  X(cuMipmappedArrayCreate, 5000)                  \
  X(cuMipmappedArrayDestroy, 5000)                 \
  X(cuMipmappedArrayGetLevel, 5000)                \
  X(cuModuleGetFunction, 2000)                     \
  X(cuModuleLoadData, 2000)                        \
  X(cuModuleLoadDataEx, 2000)                      \
  X(cuModuleUnload, 2000)                          \
  X(cuMulticastCreate, 12010)                      \
  X(cuPointerGetAttribute, 2000)                   \
  X(cuStreamBeginCapture_v2, 10010)                \
  X(cuStreamCreate, 2000)                          \
  X(cuStreamDestroy_v2, 3020)                      \
  X(cuStreamEndCapture, 10000)                     \
  X(cuStreamIsCapturing, 10000)                    \
  X(cuStreamIsCapturing_ptsz, 10000)               \
  X(cuStreamQuery, 2000)                           \
  X(cuStreamSynchronize, 2000)                     \
  X(cuStreamSynchronize_ptsz, 7000)                \
  X(cuStreamWaitEvent, 2000)

// Only addresses are wanted here; the definitions have their own types.
#define OKIBI_DECLARE(name, since) extern "C" __attribute__((visibility("default"))) int name();
OKIBI_FAKE_ENTRIES(OKIBI_DECLARE)
extern "C" __attribute__((visibility("default"))) int cuGetProcAddress_v2(const char* symbol,
                                                                          void** out, int version,
                                                                          std::uint64_t flags,
                                                                          int* found);
extern "C" __attribute__((visibility("default"))) int cuGetProcAddress(const char* symbol,
                                                                       void** out, int version,
                                                                       std::uint64_t flags);

namespace okibi::fake {
bool privateEntries();
void noteVariant(const char* name);

namespace {

struct Entry {
  const char* name;
  void* address;
  int since;
};

#define OKIBI_ROW(name, since) {#name, reinterpret_cast<void*>(&name), since},
const Entry kEntries[] = {
    OKIBI_FAKE_ENTRIES(OKIBI_ROW){"cuGetProcAddress", reinterpret_cast<void*>(&cuGetProcAddress),
                                  11030},
    {"cuGetProcAddress_v2", reinterpret_cast<void*>(&cuGetProcAddress_v2), 12000}};

bool perThread(const Entry& entry) {
  const std::size_t length = strlen(entry.name);
  return length > 5 && strcmp(entry.name + length - 5, "_ptsz") == 0;
}

// "cuMemAlloc" is the base of cuMemAlloc_v2 and of cuMemAllocAsync_ptsz's own.
bool isVariant(const Entry& entry, const char* base) {
  const std::size_t length = strlen(base);
  if (strncmp(entry.name, base, length) != 0) return false;
  const char* rest = entry.name + length;
  if (rest[0] == '_' && rest[1] == 'v') rest += 3;
  return *rest == 0 || strcmp(rest, "_ptsz") == 0;
}

const Entry* choose(const char* base, int version, bool wantPerThread, bool& tooNew) {
  // The newer interface under the older name, as in the public header.
  if (strcmp(base, "cuGraphInstantiate") == 0 && version >= 12000)
    base = "cuGraphInstantiateWithFlags";
  const Entry* best = nullptr;
  for (const Entry& entry : kEntries) {
    if (!isVariant(entry, base) || (perThread(entry) && !wantPerThread)) continue;
    if (entry.since > version) {
      tooNew = true;
      continue;
    }
    const bool better = !best || (perThread(entry) && !perThread(*best)) ||
                        (perThread(entry) == perThread(*best) && entry.since >= best->since);
    if (better) best = &entry;
  }
  return best;
}

// An address that no symbol has: movabs $target,%rax; jmp *%rax.
void* privateEntry(void* target) {
  auto* code = static_cast<unsigned char*>(
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  if (code == MAP_FAILED) return target;
  memcpy(code, "\x48\xb8", 2);
  memcpy(code + 2, &target, sizeof target);
  memcpy(code + 10, "\xff\xe0", 2);
  mprotect(code, 4096, PROT_READ | PROT_EXEC);
  return code;
}

}  // namespace

}  // namespace okibi::fake

using namespace okibi::fake;  // NOLINT: the functions below have no namespace
namespace cuda = okibi::cuda;

int cuGetProcAddress_v2(const char* symbol, void** out, int version, std::uint64_t flags,
                        int* found) {
  bool tooNew = false;
  const Entry* entry =
      choose(symbol, version, (flags & cuda::kResolvePerThreadStream) != 0, tooNew);
  *out = nullptr;
  if (found)
    *found = entry    ? cuda::kResolveFound
             : tooNew ? cuda::kResolveVersionTooLow
                      : cuda::kResolveNotFound;
  if (!entry) return cuda::kNotFound;
  *out = privateEntries() ? privateEntry(entry->address) : entry->address;
  return cuda::kSuccess;
}

int cuGetProcAddress(const char* symbol, void** out, int version, std::uint64_t flags) {
  return cuGetProcAddress_v2(symbol, out, version, flags, nullptr);
}
