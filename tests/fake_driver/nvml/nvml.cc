// The functions of the fake libnvidia-ml.so.1. Layouts come from the same header that the code
// under test uses; what holds them true is their assertions and, on a machine with a GPU, the tests
// of label `gpu`.

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "state.h"

#include "gpu/nvml_abi.h"

using namespace okibi::gpu::nvml;
using okibi::fake_nvml::readState;
using okibi::fake_nvml::State;

namespace {

using std::uint32_t, std::uint64_t;

// A handle is a number: 1 + index of the card, and 1 + index of the partition in the upper half.
Device handleOf(std::size_t device, std::size_t part) {
  return reinterpret_cast<Device>((part << 16) | (device + 1));
}

struct Target {
  State state;
  const okibi::fake_nvml::Device* device = nullptr;
  const okibi::fake_nvml::Part* part = nullptr;
};

// What a handle means in the world as it is now; the code to answer when that is nothing.
int look(Device handle, const char* function, Target& target) {
  auto state = readState();
  if (!state) return kUninitialized;
  target.state = std::move(*state);
  if (auto failure = target.state.failures.find(function); failure != target.state.failures.end()) {
    return failure->second;
  }
  const auto value = reinterpret_cast<std::uintptr_t>(handle);
  const std::size_t device = (value & 0xFFFF) - 1, part = value >> 16;
  if (device >= target.state.devices.size()) return kInvalidArgument;
  target.device = &target.state.devices[device];
  if (part > target.device->parts.size()) return kInvalidArgument;
  if (part > 0) target.part = &target.device->parts[part - 1];
  return kSuccess;
}

int copyText(const std::string& text, char* buffer, uint32_t size) {
  if (text.size() + 1 > size) return kInsufficientSize;
  std::memcpy(buffer, text.c_str(), text.size() + 1);
  return kSuccess;
}

// What this process did to the driver.
struct Own {
  std::mutex mutex;
  std::size_t eventsTaken = 0;
  std::map<std::pair<Device, std::string>, std::pair<uint64_t, uint64_t>> limits;
};
[[maybe_unused]] Own& own() {
  static Own instance;
  return instance;
}

}  // namespace

#define FAKE extern "C" __attribute__((visibility("default"))) int
// Answers for `handle`, or returns the code of its failure.
#define FAKE_TARGET(handle) \
  Target target;            \
  if (const int code = look(handle, __func__, target); code != kSuccess) return code

FAKE nvmlInit_v2() {
  const auto state = readState();
  if (!state) return kDriverNotLoaded;
  const auto failure = state->failures.find(__func__);
  return failure == state->failures.end() ? kSuccess : failure->second;
}

FAKE nvmlShutdown() {
  return kSuccess;
}

FAKE nvmlSystemGetDriverVersion(char* buffer, uint32_t size) {
  const auto state = readState();
  return state ? copyText(state->driver, buffer, size) : kUninitialized;
}

FAKE nvmlDeviceGetCount_v2(uint32_t* count) {
  const auto state = readState();
  if (!state) return kUninitialized;
  *count = static_cast<uint32_t>(state->devices.size());
  return kSuccess;
}

FAKE nvmlDeviceGetHandleByIndex_v2(uint32_t index, Device* device) {
  FAKE_TARGET(handleOf(index, 0));
  *device = handleOf(index, 0);
  return kSuccess;
}

FAKE nvmlDeviceGetUUID(Device device, char* buffer, uint32_t size) {
  FAKE_TARGET(device);
  return copyText(target.part ? target.part->uuid : target.device->uuid, buffer, size);
}

FAKE nvmlDeviceGetName(Device device, char* buffer, uint32_t size) {
  FAKE_TARGET(device);
  return copyText(target.part ? target.part->name : target.device->name, buffer, size);
}

FAKE nvmlDeviceGetMinorNumber(Device device, uint32_t* minor) {
  FAKE_TARGET(device);
  *minor = target.device->minor;
  return kSuccess;
}

FAKE nvmlDeviceGetPciInfo_v3(Device device, PciInfo* pci) {
  FAKE_TARGET(device);
  std::memset(pci, 0, sizeof(*pci));
  return copyText(target.device->pci, pci->busId, sizeof(pci->busId));
}

FAKE nvmlDeviceGetMemoryInfo(Device device, MemoryV1* memory) {
  FAKE_TARGET(device);
  memory->total = target.part ? target.part->total : target.device->total;
  memory->used = target.part ? 0 : target.device->used + target.device->reserved;
  memory->free = memory->total - memory->used;
  return kSuccess;
}

#ifndef OKIBI_FAKE_NVML_OLD

FAKE nvmlDeviceGetMemoryInfo_v2(Device device, MemoryV2* memory) {
  FAKE_TARGET(device);
  if (memory->version != kMemoryV2) return kInvalidArgument;
  memory->total = target.part ? target.part->total : target.device->total;
  memory->reserved = target.part ? 0 : target.device->reserved;
  memory->used = target.part ? 0 : target.device->used;
  memory->free = memory->total - memory->reserved - memory->used;
  return kSuccess;
}

FAKE nvmlDeviceGetCudaComputeCapability(Device device, int* major, int* minor) {
  FAKE_TARGET(device);
  *major = target.device->capability[0];
  *minor = target.device->capability[1];
  return kSuccess;
}

FAKE nvmlDeviceGetNumaNodeId(Device device, uint32_t* node) {
  FAKE_TARGET(device);
  if (!target.device->numa) return kNotSupported;
  *node = *target.device->numa;
  return kSuccess;
}

FAKE nvmlDeviceGetMigMode(Device device, uint32_t* current, uint32_t* pending) {
  FAKE_TARGET(device);
  *current = *pending = target.device->parts.empty() ? 0 : 1;
  return kSuccess;
}

FAKE nvmlDeviceGetMaxMigDeviceCount(Device device, uint32_t* count) {
  FAKE_TARGET(device);
  *count = target.device->parts.empty() ? 0 : 7;
  return kSuccess;
}

FAKE nvmlDeviceGetMigDeviceHandleByIndex(Device device, uint32_t index, Device* part) {
  FAKE_TARGET(device);
  if (index >= target.device->parts.size()) return kNotFound;
  const auto value = reinterpret_cast<std::uintptr_t>(device);
  *part = handleOf((value & 0xFFFF) - 1, index + 1);
  return kSuccess;
}

FAKE nvmlDeviceGetGpuInstanceId(Device device, uint32_t* id) {
  FAKE_TARGET(device);
  if (!target.part) return kInvalidArgument;
  *id = target.part->gpuInstance;
  return kSuccess;
}

FAKE nvmlDeviceGetComputeInstanceId(Device device, uint32_t* id) {
  FAKE_TARGET(device);
  if (!target.part) return kInvalidArgument;
  *id = target.part->computeInstance;
  return kSuccess;
}

FAKE nvmlDeviceGetComputeRunningProcesses_v3(Device device, uint32_t* count, ProcessInfo* list) {
  FAKE_TARGET(device);
  const auto& processes = target.device->processes;
  const auto room = std::exchange(*count, static_cast<uint32_t>(processes.size()));
  if (room < processes.size()) return kInsufficientSize;
  for (std::size_t i = 0; i < processes.size(); ++i) {
    list[i] = {processes[i].pid, processes[i].bytes.value_or(kNotAvailable), ~0U, ~0U};
  }
  return kSuccess;
}

FAKE nvmlDeviceGetUtilizationRates(Device device, Utilization* utilization) {
  FAKE_TARGET(device);
  if (target.part || !target.device->busy) return kNotSupported;
  *utilization = {*target.device->busy, 0};
  return kSuccess;
}

FAKE nvmlEventSetCreate(EventSet* set) {
  *set = reinterpret_cast<EventSet>(&own());
  return kSuccess;
}

FAKE nvmlEventSetFree(EventSet) {
  return kSuccess;
}

FAKE nvmlDeviceGetSupportedEventTypes(Device device, uint64_t* types) {
  FAKE_TARGET(device);
  *types = 0xFFFF;
  return kSuccess;
}

FAKE nvmlDeviceRegisterEvents(Device device, uint64_t, EventSet) {
  FAKE_TARGET(device);
  return kSuccess;
}

FAKE nvmlEventSetWait_v2(EventSet, EventData* data, uint32_t milliseconds) {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + std::chrono::milliseconds(milliseconds);
  for (;;) {
    const auto state = readState();
    if (!state) return kUninitialized;
    std::unique_lock lock(own().mutex);
    if (own().eventsTaken < state->events.size()) {
      const auto& event = state->events[own().eventsTaken++];
      if (event.kind == "lost") return kGpuIsLost;
      const uint64_t type = event.kind == "xid"   ? kEventXid
                            : event.kind == "ecc" ? kEventDoubleBitEcc
                                                  : kEventGpuUnavailable;
      *data = {handleOf(event.device, 0), type, event.number, ~0U, ~0U};
      return kSuccess;
    }
    lock.unlock();
    if (Clock::now() >= deadline) return kTimeout;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

FAKE nvmlDeviceSetMemoryLimits_v1(Device device, SetMemoryLimits* limits) {
  FAKE_TARGET(device);
  if (!target.device->limits || target.part) return kNotSupported;
  std::lock_guard lock(own().mutex);
  const auto key = std::pair(device, std::string(limits->nameSpace));
  if (limits->hardLimit == kNoLimit) {
    own().limits.erase(key);
  } else {
    own().limits[key] = {limits->softLimit, limits->hardLimit};
  }
  return kSuccess;
}

FAKE nvmlDeviceGetMemoryLimits_v1(Device device, GetMemoryLimits* limits) {
  FAKE_TARGET(device);
  if (!target.device->limits) return kNotSupported;
  std::lock_guard lock(own().mutex);
  const auto found = own().limits.find({device, limits->nameSpace});
  if (found == own().limits.end()) return kNotFound;
  limits->softLimit = found->second.first;
  limits->hardLimit = found->second.second + target.device->limitsLie;
  limits->currentUsed = 0;
  return kSuccess;
}

#endif
