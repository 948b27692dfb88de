#pragma once
// The part of NVIDIA's management library (NVML) that Okibi calls, declared by ourselves: the
// library belongs to the driver and is opened at run time, and no header of it need be there at
// build time. Layouts as in the driver's stable C interface, x86-64 and aarch64 Linux; the
// assertions below hold them. Facts: NVML API reference (R580, R615), function by function.

#include <cstddef>
#include <cstdint>

namespace okibi::gpu::nvml {

using Device = struct DeviceHandle*;
using EventSet = struct EventSetHandle*;
using Return = int;

inline constexpr Return kSuccess = 0, kUninitialized = 1, kInvalidArgument = 2, kNotSupported = 3,
                        kNoPermission = 4, kNotFound = 6, kInsufficientSize = 7,
                        kDriverNotLoaded = 9, kTimeout = 10, kFunctionNotFound = 13,
                        kGpuIsLost = 15;

inline constexpr std::size_t kUuidSize = 96, kNameSize = 96, kVersionSize = 80;
// A value the driver does not have.
inline constexpr std::uint64_t kNotAvailable = ~std::uint64_t{0};

struct PciInfo {  // nvmlDeviceGetPciInfo_v3
  char busIdLegacy[16];
  std::uint32_t domain, bus, device, pciDeviceId, pciSubSystemId;
  char busId[32];  // "00000000:17:00.0"
};
static_assert(sizeof(PciInfo) == 68 && offsetof(PciInfo, busId) == 36);

struct MemoryV1 {  // nvmlDeviceGetMemoryInfo; `total` without, `used` with what is reserved
  std::uint64_t total, free, used;
};
static_assert(sizeof(MemoryV1) == 24);

struct MemoryV2 {  // nvmlDeviceGetMemoryInfo_v2
  std::uint32_t version;
  std::uint64_t total, reserved, free, used;
};
static_assert(sizeof(MemoryV2) == 40 && offsetof(MemoryV2, total) == 8 &&
              offsetof(MemoryV2, used) == 32);
inline constexpr std::uint32_t kMemoryV2 = sizeof(MemoryV2) | (2U << 24);

struct ProcessInfo {  // nvmlDeviceGetComputeRunningProcesses_v3
  std::uint32_t pid;
  std::uint64_t usedGpuMemory;  // kNotAvailable: unknown
  std::uint32_t gpuInstanceId, computeInstanceId;
};
static_assert(sizeof(ProcessInfo) == 24 && offsetof(ProcessInfo, usedGpuMemory) == 8);

struct Utilization {  // percent of the last sampling period in which any kernel ran / memory moved
  std::uint32_t gpu, memory;
};
static_assert(sizeof(Utilization) == 8);

struct EventData {  // nvmlEventSetWait_v2
  Device device;
  std::uint64_t eventType, eventData;
  std::uint32_t gpuInstanceId, computeInstanceId;
};
static_assert(sizeof(EventData) == 32 && offsetof(EventData, eventData) == 16);

// From driver 615 on, per cgroup; soft 0 and hard kNoLimit clear.
struct SetMemoryLimits {  // nvmlDeviceSetMemoryLimits_v1
  const char* nameSpace;  // full path of the cgroup's directory
  std::uint64_t softLimit, hardLimit;
};
struct GetMemoryLimits {  // nvmlDeviceGetMemoryLimits_v1
  const char* nameSpace;
  std::uint64_t softLimit, hardLimit, currentUsed;
};
static_assert(sizeof(SetMemoryLimits) == 24 && sizeof(GetMemoryLimits) == 32);
inline constexpr std::uint64_t kNoLimit = ~std::uint64_t{0};

inline constexpr std::uint64_t kEventDoubleBitEcc = 0x2, kEventXid = 0x8,
                               kEventGpuUnavailable = 0x4000;

// OKIBI_NVML(member, "symbol", parameters): what is looked up. Those in the first list must be
// there; the others are newer or not on every card.
#define OKIBI_NVML_REQUIRED(X)                                                \
  X(init, "nvmlInit_v2", ())                                                  \
  X(shutdown, "nvmlShutdown", ())                                             \
  X(driverVersion, "nvmlSystemGetDriverVersion", (char*, std::uint32_t))      \
  X(deviceCount, "nvmlDeviceGetCount_v2", (std::uint32_t*))                   \
  X(deviceByIndex, "nvmlDeviceGetHandleByIndex_v2", (std::uint32_t, Device*)) \
  X(uuid, "nvmlDeviceGetUUID", (Device, char*, std::uint32_t))                \
  X(name, "nvmlDeviceGetName", (Device, char*, std::uint32_t))                \
  X(minorNumber, "nvmlDeviceGetMinorNumber", (Device, std::uint32_t*))        \
  X(pciInfo, "nvmlDeviceGetPciInfo_v3", (Device, PciInfo*))                   \
  X(memoryInfo, "nvmlDeviceGetMemoryInfo", (Device, MemoryV1*))

#define OKIBI_NVML_OPTIONAL(X)                                                          \
  X(memoryInfoV2, "nvmlDeviceGetMemoryInfo_v2", (Device, MemoryV2*))                    \
  X(capability, "nvmlDeviceGetCudaComputeCapability", (Device, int*, int*))             \
  X(numaNode, "nvmlDeviceGetNumaNodeId", (Device, std::uint32_t*))                      \
  X(migMode, "nvmlDeviceGetMigMode", (Device, std::uint32_t*, std::uint32_t*))          \
  X(maxMigDevices, "nvmlDeviceGetMaxMigDeviceCount", (Device, std::uint32_t*))          \
  X(migDevice, "nvmlDeviceGetMigDeviceHandleByIndex", (Device, std::uint32_t, Device*)) \
  X(gpuInstance, "nvmlDeviceGetGpuInstanceId", (Device, std::uint32_t*))                \
  X(computeInstance, "nvmlDeviceGetComputeInstanceId", (Device, std::uint32_t*))        \
  X(computeProcesses, "nvmlDeviceGetComputeRunningProcesses_v3",                        \
    (Device, std::uint32_t*, ProcessInfo*))                                             \
  X(mpsProcesses, "nvmlDeviceGetMPSComputeRunningProcesses_v3",                         \
    (Device, std::uint32_t*, ProcessInfo*))                                             \
  X(utilization, "nvmlDeviceGetUtilizationRates", (Device, Utilization*))               \
  X(eventSetCreate, "nvmlEventSetCreate", (EventSet*))                                  \
  X(eventSetFree, "nvmlEventSetFree", (EventSet))                                       \
  X(supportedEvents, "nvmlDeviceGetSupportedEventTypes", (Device, std::uint64_t*))      \
  X(registerEvents, "nvmlDeviceRegisterEvents", (Device, std::uint64_t, EventSet))      \
  X(eventWait, "nvmlEventSetWait_v2", (EventSet, EventData*, std::uint32_t))            \
  X(setMemoryLimits, "nvmlDeviceSetMemoryLimits_v1", (Device, SetMemoryLimits*))        \
  X(getMemoryLimits, "nvmlDeviceGetMemoryLimits_v1", (Device, GetMemoryLimits*))

// One pointer per function; an optional one may be null.
struct Functions {
#define OKIBI_NVML_MEMBER(member, symbol, parameters) Return(*member) parameters = nullptr;
  OKIBI_NVML_REQUIRED(OKIBI_NVML_MEMBER)
  OKIBI_NVML_OPTIONAL(OKIBI_NVML_MEMBER)
#undef OKIBI_NVML_MEMBER
};

}  // namespace okibi::gpu::nvml
