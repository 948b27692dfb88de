// The management library, as a program in the container sees it: the memory of its card is its
// slice.

#include <string.h>

#include "shim/allocation.h"

namespace okibi::shim {
namespace {

constexpr unsigned kUuidBytes = 96;  // NVML_DEVICE_UUID_V2_BUFFER_SIZE

// The card of the budget, by UUID; the only one where the budget does not name it; -1 otherwise.
int cardOfNvml(nvml::Device device) {
  const budget::File& file = budgetFile();
  if (file.card[0].uuid[0] == 0) {
    unsigned index = 0;
    if (file.cards == 1) return 0;
    if (call<"nvmlDeviceGetIndex">(device, &index) != nvml::kSuccess || index >= file.cards)
      return -1;
    return static_cast<int>(index);
  }
  char text[kUuidBytes] = {};
  if (call<"nvmlDeviceGetUUID">(device, static_cast<char*>(text), kUuidBytes) != nvml::kSuccess)
    return -1;
  for (unsigned i = 0; i < file.cards; ++i) {
    if (strncmp(text, file.card[i].uuid, sizeof file.card[i].uuid) == 0) return static_cast<int>(i);
  }
  return -1;
}

// A card the instance was not given has nothing for it.
template <class Memory>
void showSlice(nvml::Device device, Memory& memory) {
  const int card = cardOfNvml(device);
  reap(card);
  const std::uint64_t limit = limitOf(card), used = usedOf(card);
  memory.total = limit < memory.total ? limit : memory.total;
  memory.used = used < memory.total ? used : memory.total;
  memory.free = memory.total - memory.used;
}

template <Name N>
nvml::Status memoryInfo(nvml::Device device, nvml::Memory* memory) {
  const nvml::Status status = call<N>(device, memory);
  if (status == nvml::kSuccess) showSlice(device, *memory);
  return status;
}

template <Name N>
nvml::Status memoryInfoV2(nvml::Device device, nvml::MemoryV2* memory) {
  const nvml::Status status = call<N>(device, memory);
  if (status != nvml::kSuccess) return status;
  showSlice(device, *memory);
  memory->reserved = 0;
  return status;
}

const Hook kHooks[] = {
    OKIBI_HOOK("nvmlDeviceGetMemoryInfo", memoryInfo, 0),
    OKIBI_HOOK("nvmlDeviceGetMemoryInfo_v2", memoryInfoV2, 0),
    OKIBI_WANTED("nvmlDeviceGetUUID"),
    OKIBI_WANTED("nvmlDeviceGetIndex"),
};

}  // namespace

HookList nvmlHooks() {
  return {kHooks, sizeof kHooks / sizeof *kHooks};
}

}  // namespace okibi::shim
