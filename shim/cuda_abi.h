#pragma once
// The part of the CUDA driver's binary interface that Okibi speaks: handles are pointers, results
// are ints, and each structure has its size asserted. Declared here because no CUDA header may be
// required to build; where a toolkit's cuda.h is found, tests/gpu_bypass/abi_test.cc holds every
// size, offset and constant below against it. Source of every fact: the public CUDA Driver API
// reference, 13.0.

#include <cstddef>
#include <cstdint>

namespace okibi::cuda {

using Status = int;  // CUresult
inline constexpr Status kSuccess = 0;
inline constexpr Status kInvalidValue = 1;
inline constexpr Status kOutOfMemory = 2;
inline constexpr Status kNotInitialized = 3;
inline constexpr Status kNoDevice = 100;
inline constexpr Status kInvalidDevice = 101;
inline constexpr Status kInvalidContext = 201;
inline constexpr Status kOperatingSystem = 304;
inline constexpr Status kInvalidHandle = 400;
inline constexpr Status kIllegalState = 401;
inline constexpr Status kNotFound = 500;
inline constexpr Status kNotReady = 600;
inline constexpr Status kNotPermitted = 800;
inline constexpr Status kNotSupported = 801;

using Device = int;
using DevicePtr = std::uint64_t;
using MemHandle = std::uint64_t;  // CUmemGenericAllocationHandle
using Context = struct ContextOpaque*;
using Module = struct ModuleOpaque*;
using Function = struct FunctionOpaque*;
using Stream = struct StreamOpaque*;
using Event = struct EventOpaque*;
using Pool = struct PoolOpaque*;
using Array = struct ArrayOpaque*;
using Mipmap = struct MipmapOpaque*;
using Graph = struct GraphOpaque*;
using GraphNode = struct GraphNodeOpaque*;
using GraphExec = struct GraphExecOpaque*;
using ExternalMemory = struct ExternalMemoryOpaque*;

// CUmemLocationType, CUmemAllocationType, CUmemAllocationHandleType
inline constexpr int kLocationDevice = 1;
inline constexpr int kLocationHost = 2;
inline constexpr int kAllocationPinned = 1;
inline constexpr int kAllocationManaged = 2;
inline constexpr int kHandleFileDescriptor = 1;

struct Location {
  int type;
  int id;  // ordinal of the device, when type is kLocationDevice
};
static_assert(sizeof(Location) == 8);

struct AllocationProp {
  int type;
  int requestedHandleTypes;
  Location location;
  void* win32HandleMetaData;
  unsigned char flags[8];
};
static_assert(sizeof(AllocationProp) == 32);

struct AccessDesc {
  Location location;
  int flags;  // 0 none, 1 read, 3 read and write
};
static_assert(sizeof(AccessDesc) == 12);

struct PoolProps {
  int allocType;
  int handleTypes;
  Location location;
  void* win32SecurityAttributes;
  std::size_t maxSize;
  unsigned short usage;
  unsigned char reserved[54];
};
static_assert(sizeof(PoolProps) == 88);

// CUmemPool_attribute
inline constexpr int kPoolReleaseThreshold = 4;
inline constexpr int kPoolReserved = 5;
inline constexpr int kPoolUsed = 7;
// CUgraphMem_attribute
inline constexpr int kGraphMemUsed = 0;
inline constexpr int kGraphMemReserved = 2;
// CUgraphNodeType
inline constexpr int kNodeKernel = 0;
inline constexpr int kNodeChildGraph = 4;
inline constexpr int kNodeMemAlloc = 10;
inline constexpr int kNodeMemFree = 11;

struct AllocNodeParams {
  PoolProps poolProps;
  const AccessDesc* accessDescs;
  std::size_t accessDescCount;
  std::size_t bytesize;
  DevicePtr dptr;
};
static_assert(sizeof(AllocNodeParams) == 120);

struct GraphNodeParams {
  int type;
  int reserved0[3];
  union {
    long long reserved1[29];
    AllocNodeParams alloc;
    DevicePtr freed;
    Graph child;
  };
  long long reserved2;
};
static_assert(sizeof(GraphNodeParams) == 256);

struct ArrayDescriptor {
  std::size_t width;  // elements
  std::size_t height;
  int format;
  unsigned channels;
};
static_assert(sizeof(ArrayDescriptor) == 24);

struct ArrayDescriptorV1 {
  unsigned width;
  unsigned height;
  int format;
  unsigned channels;
};
static_assert(sizeof(ArrayDescriptorV1) == 16);

struct Array3dDescriptor {
  std::size_t width;
  std::size_t height;
  std::size_t depth;
  int format;
  unsigned channels;
  unsigned flags;
};
static_assert(sizeof(Array3dDescriptor) == 40);

struct Array3dDescriptorV1 {
  unsigned width;
  unsigned height;
  unsigned depth;
  int format;
  unsigned channels;
  unsigned flags;
};
static_assert(sizeof(Array3dDescriptorV1) == 24);

inline constexpr unsigned kArraySparse = 0x40;
inline constexpr unsigned kArrayDeferredMapping = 0x80;

struct IpcHandle {
  char reserved[64];
};
static_assert(sizeof(IpcHandle) == 64);

struct Uuid {
  unsigned char bytes[16];
};

struct MulticastProp {
  unsigned devices;
  std::size_t size;
  unsigned long long handleTypes;
  unsigned long long flags;
};
static_assert(sizeof(MulticastProp) == 32);

struct LaunchConfig {
  unsigned grid[3];
  unsigned block[3];
  unsigned sharedBytes;
  Stream stream;
  void* attributes;
  unsigned attributeCount;
};
static_assert(sizeof(LaunchConfig) == 56);

// cuGetProcAddress flags and answers
inline constexpr std::uint64_t kResolveLegacyStream = 1;
inline constexpr std::uint64_t kResolvePerThreadStream = 2;
inline constexpr int kResolveFound = 0;
inline constexpr int kResolveNotFound = 1;
inline constexpr int kResolveVersionTooLow = 2;

// Checkpoint: CUprocessState and the 64-byte argument blocks, which must be zeroed as a whole.
inline constexpr int kStateRunning = 0;
inline constexpr int kStateLocked = 1;
inline constexpr int kStateCheckpointed = 2;
inline constexpr int kStateFailed = 3;

struct LockArgs {
  unsigned timeoutMs;  // 0: wait for ever
  unsigned reserved0;
  std::uint64_t reserved1[7];
};
static_assert(sizeof(LockArgs) == 64);

struct CheckpointArgs {  // also of unlock
  std::uint64_t reserved[8];
};
static_assert(sizeof(CheckpointArgs) == 64);

struct RestoreArgs {
  void* gpuPairs;
  unsigned gpuPairsCount;
  char reserved[44];
  std::uint64_t reserved1;
};
static_assert(sizeof(RestoreArgs) == 64);

}  // namespace okibi::cuda

namespace okibi::nvml {

using Status = int;  // nvmlReturn_t
inline constexpr Status kSuccess = 0;
inline constexpr Status kUninitialized = 1;
inline constexpr Status kInvalidArgument = 2;
using Device = struct DeviceOpaque*;

struct Memory {
  unsigned long long total;
  unsigned long long free;
  unsigned long long used;
};
static_assert(sizeof(Memory) == 24);

struct MemoryV2 {
  unsigned version;  // kMemoryV2, set by the caller
  unsigned long long total;
  unsigned long long reserved;
  unsigned long long free;
  unsigned long long used;
};
static_assert(sizeof(MemoryV2) == 40);
inline constexpr unsigned kMemoryV2 = sizeof(MemoryV2) | (2u << 24);

}  // namespace okibi::nvml
