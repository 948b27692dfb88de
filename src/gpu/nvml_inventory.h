#pragma once
// NvmlInventory: the cards of this machine as NVIDIA's driver describes them. A card in MIG mode is
// offered as its partitions, each a card of its own.
//
// capMemory() works where the driver caps memory per cgroup: 615 and later.

#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "gpu/card_naming.h"
#include "gpu/kernel_log.h"
#include "gpu/nvml_library.h"
#include "seams/gpu_inventory.h"

namespace okibi::gpu {

struct NvmlOptions {
  std::filesystem::path library = "libnvidia-ml.so.1";
  std::filesystem::path procRoot = "/proc", sysRoot = "/sys";
  std::filesystem::path kernelLog = "/dev/kmsg";
  std::vector<CardRule> rules;
};

class NvmlInventory final : public seams::GpuInventory {
 public:
  // Blocks, up to seconds where the driver first has to wake the cards. Errors as
  // NvmlLibrary::open; a card that cannot be read is left out and logged.
  static Result<std::unique_ptr<NvmlInventory>> open(NvmlOptions options);
  ~NvmlInventory() override;

  const seams::Cards& describe() const override { return cards_; }
  std::string cgroupOf(int pid) const override;
  Result<void> capMemory(CardId card, int pid, Bytes limit) override;
  Result<seams::GpuUse> use() override;
  Result<std::optional<seams::GpuEvent>> waitForEvent(Duration timeout) override;

 private:
  // A card as offered: the whole device, or one partition of `parent`.
  struct Offered {
    nvml::Device device, parent;
  };

  NvmlInventory(NvmlOptions options, std::unique_ptr<NvmlLibrary> library);
  Result<void> discover();
  void addDevice(nvml::Device device);
  void addPartitions(nvml::Device device, const seams::CardFacts& parent);
  void offer(seams::CardFacts facts, Offered handles, Whole whole);
  Result<seams::CardFacts> readDevice(nvml::Device device) const;
  Result<void> readMemory(nvml::Device device, seams::CardFacts& facts) const;
  std::string readName(nvml::Device device) const;
  bool isPartitioned(nvml::Device device) const;
  std::optional<int> numaNodeOf(nvml::Device device, const std::string& pciAddress) const;

  std::optional<Bytes> usedOf(nvml::Device device) const;
  void addProcesses(std::size_t index, seams::GpuUse& use) const;
  const Offered* find(CardId card) const;
  CardId cardOf(const nvml::EventData& event) const;
  Result<void> listen();
  int processOf(CardId card, std::uint64_t xid);

  NvmlOptions options_;
  std::unique_ptr<NvmlLibrary> library_;
  seams::Cards cards_;
  std::vector<Offered> offered_;  // as cards_.cards
  nvml::EventSet events_ = nullptr;
  std::optional<KernelLog> kernelLog_;  // where it may be read
};

}  // namespace okibi::gpu
