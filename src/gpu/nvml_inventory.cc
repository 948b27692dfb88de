#include "gpu/nvml_inventory.h"

#include <charconv>

#include <fmt/format.h>

#include "base/encoding.h"
#include "base/log.h"
#include "gpu/process_cgroup.h"
#include "gpu/text_file.h"

namespace okibi::gpu {
namespace {

using seams::CardFacts;

std::unexpected<Error> failNvml(std::string_view what, nvml::Return code) {
  return fail(ErrorKind::Unavailable, fmt::format("{}: {}", what, describeNvml(code)));
}

// NVML's text buffers end with a NUL unless the driver lies.
template <std::size_t N>
std::string textOf(const char (&buffer)[N]) {
  return std::string(buffer, strnlen(buffer, N));
}

// "00000000:17:00.0" as NVML says it → "0000:17:00.0" as sysfs names it.
std::string sysfsAddress(std::string address) {
  address = toLower(address);
  const std::size_t colon = address.find(':');
  if (colon != std::string::npos && colon > 4) address.erase(0, colon - 4);
  return address;
}

Bytes wholeGibOf(Bytes memory) {
  return Bytes::gib(std::max<std::int64_t>(memory.wholeGib(), 0));
}

}  // namespace

NvmlInventory::NvmlInventory(NvmlOptions options, std::unique_ptr<NvmlLibrary> library)
    : options_(std::move(options)), library_(std::move(library)) {}

NvmlInventory::~NvmlInventory() {
  if (events_ != nullptr) library_->call().eventSetFree(events_);
}

Result<std::unique_ptr<NvmlInventory>> NvmlInventory::open(NvmlOptions options) {
  auto library = NvmlLibrary::open(options.library);
  if (!library) return fail(library.error());
  std::unique_ptr<NvmlInventory> inventory(
      new NvmlInventory(std::move(options), std::move(*library)));
  if (auto found = inventory->discover(); !found) return fail(found.error());
  return inventory;
}

Result<void> NvmlInventory::discover() {
  const nvml::Functions& call = library_->call();
  char version[nvml::kVersionSize] = {};
  if (auto code = call.driverVersion(version, sizeof(version)); code != nvml::kSuccess) {
    return failNvml("driver version", code);
  }
  cards_.driverVersion = textOf(version);
  std::uint32_t count = 0;
  if (auto code = call.deviceCount(&count); code != nvml::kSuccess) {
    return failNvml("number of cards", code);
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    nvml::Device device = nullptr;
    if (auto code = call.deviceByIndex(i, &device); code != nvml::kSuccess) {
      log::warning("card left out", "index={} error=\"{}\"", i, describeNvml(code));
      continue;
    }
    addDevice(device);
  }
  return {};
}

void NvmlInventory::addDevice(nvml::Device device) {
  auto facts = readDevice(device);
  if (!facts) {
    log::warning("card left out", "error=\"{}\"", facts.error().message);
  } else if (isPartitioned(device)) {
    addPartitions(device, *facts);
  } else {
    offer(std::move(*facts), {device, device}, Whole::Card);
  }
}

void NvmlInventory::addPartitions(nvml::Device device, const CardFacts& parent) {
  const nvml::Functions& call = library_->call();
  std::uint32_t most = 0;
  if (call.maxMigDevices == nullptr || call.migDevice == nullptr || call.gpuInstance == nullptr ||
      call.computeInstance == nullptr || call.maxMigDevices(device, &most) != nvml::kSuccess) {
    log::warning("partitions left out", "card={}", parent.card.uuid);
    return;
  }
  for (std::uint32_t i = 0; i < most; ++i) {
    nvml::Device part = nullptr;
    if (call.migDevice(device, i, &part) != nvml::kSuccess) continue;  // a free place
    CardFacts facts = parent;
    std::uint32_t gpuInstance = 0, computeInstance = 0;
    char uuid[nvml::kUuidSize] = {};
    const bool read = call.uuid(part, uuid, sizeof(uuid)) == nvml::kSuccess &&
                      call.gpuInstance(part, &gpuInstance) == nvml::kSuccess &&
                      call.computeInstance(part, &computeInstance) == nvml::kSuccess &&
                      readMemory(part, facts).has_value();
    if (!read) {
      log::warning("partition left out", "card={} index={}", parent.card.uuid, i);
      continue;
    }
    facts.card.uuid = textOf(uuid);
    facts.name = readName(part);
    facts.mig = seams::MigPart{parent.card.uuid, static_cast<int>(gpuInstance),
                               static_cast<int>(computeInstance)};
    offer(std::move(facts), {part, device}, Whole::Partition);
  }
}

void NvmlInventory::offer(CardFacts facts, Offered handles, Whole whole) {
  facts.card.id = CardId(offered_.size() + 1);
  facts.card.type = typeOf(facts.name, facts.total, whole, options_.rules);
  facts.card.memory = wholeGibOf(facts.total - facts.reserved);
  facts.card.origin = CardOrigin::Physical;
  cards_.cards.push_back(std::move(facts));
  offered_.push_back(handles);
}

std::string NvmlInventory::readName(nvml::Device device) const {
  char name[nvml::kNameSize] = {};
  if (library_->call().name(device, name, sizeof(name)) != nvml::kSuccess) return "unknown";
  return textOf(name);
}

Result<CardFacts> NvmlInventory::readDevice(nvml::Device device) const {
  const nvml::Functions& call = library_->call();
  CardFacts facts;
  char uuid[nvml::kUuidSize] = {};
  if (auto code = call.uuid(device, uuid, sizeof(uuid)); code != nvml::kSuccess) {
    return failNvml("UUID", code);
  }
  facts.card.uuid = textOf(uuid);
  facts.name = readName(device);
  if (auto read = readMemory(device, facts); !read) {
    return fail(withContext(read.error(), facts.card.uuid));
  }
  nvml::PciInfo pci{};
  if (call.pciInfo(device, &pci) == nvml::kSuccess) {
    facts.pciAddress = sysfsAddress(textOf(pci.busId));
  }
  facts.numaNode = numaNodeOf(device, facts.pciAddress);
  std::uint32_t minor = 0;
  if (call.minorNumber(device, &minor) == nvml::kSuccess) {
    facts.minorNumber = static_cast<int>(minor);
  }
  int capability[2] = {};
  if (call.capability != nullptr &&
      call.capability(device, &capability[0], &capability[1]) == nvml::kSuccess) {
    facts.capabilityMajor = capability[0];
    facts.capabilityMinor = capability[1];
  }
  return facts;
}

Result<void> NvmlInventory::readMemory(nvml::Device device, CardFacts& facts) const {
  const nvml::Functions& call = library_->call();
  nvml::MemoryV2 memory{
      .version = nvml::kMemoryV2, .total = 0, .reserved = 0, .free = 0, .used = 0};
  if (call.memoryInfoV2 != nullptr && call.memoryInfoV2(device, &memory) == nvml::kSuccess) {
    facts.total = Bytes(static_cast<std::int64_t>(memory.total));
    facts.reserved = Bytes(static_cast<std::int64_t>(memory.reserved));
    return {};
  }
  nvml::MemoryV1 old{};
  if (auto code = call.memoryInfo(device, &old); code != nvml::kSuccess) {
    return failNvml("memory", code);
  }
  facts.total = Bytes(static_cast<std::int64_t>(old.total));
  facts.reserved = Bytes();
  return {};
}

bool NvmlInventory::isPartitioned(nvml::Device device) const {
  std::uint32_t current = 0, pending = 0;
  const auto mode = library_->call().migMode;
  return mode != nullptr && mode(device, &current, &pending) == nvml::kSuccess && current == 1;
}

std::optional<int> NvmlInventory::numaNodeOf(nvml::Device device,
                                             const std::string& pciAddress) const {
  std::uint32_t node = 0;
  const auto ask = library_->call().numaNode;
  if (ask != nullptr && ask(device, &node) == nvml::kSuccess) return static_cast<int>(node);
  if (pciAddress.empty()) return std::nullopt;
  const auto text = readText(options_.sysRoot / "bus/pci/devices" / pciAddress / "numa_node");
  int value = -1;
  if (text) std::from_chars(text->data(), text->data() + text->size(), value);
  return value >= 0 ? std::optional(value) : std::nullopt;
}

const NvmlInventory::Offered* NvmlInventory::find(CardId card) const {
  const std::uint64_t index = card.value() - 1;  // none wraps round
  return index < offered_.size() ? &offered_[index] : nullptr;
}

std::string NvmlInventory::cgroupOf(int pid) const {
  return gpu::cgroupOf(options_.procRoot, pid);
}

// ---- use

std::optional<Bytes> NvmlInventory::usedOf(nvml::Device device) const {
  const nvml::Functions& call = library_->call();
  nvml::MemoryV2 memory{
      .version = nvml::kMemoryV2, .total = 0, .reserved = 0, .free = 0, .used = 0};
  if (call.memoryInfoV2 != nullptr && call.memoryInfoV2(device, &memory) == nvml::kSuccess) {
    return Bytes(static_cast<std::int64_t>(memory.used));
  }
  nvml::MemoryV1 old{};
  if (call.memoryInfo(device, &old) != nvml::kSuccess) return std::nullopt;
  return Bytes(static_cast<std::int64_t>(old.used));
}

void NvmlInventory::addProcesses(std::size_t index, seams::GpuUse& use) const {
  using List = nvml::Return (*)(nvml::Device, std::uint32_t*, nvml::ProcessInfo*);
  const nvml::Functions& call = library_->call();
  for (List list : {call.computeProcesses, call.mpsProcesses}) {
    if (list == nullptr) continue;
    // More may appear between the question how many and the list: ask again with more room.
    std::vector<nvml::ProcessInfo> found(16);
    auto count = static_cast<std::uint32_t>(found.size());
    nvml::Return code = list(offered_[index].device, &count, found.data());
    for (int attempt = 0; code == nvml::kInsufficientSize && attempt < 8; ++attempt) {
      found.resize(std::size_t{count} + 16);
      count = static_cast<std::uint32_t>(found.size());
      code = list(offered_[index].device, &count, found.data());
    }
    if (code != nvml::kSuccess) continue;
    for (std::uint32_t i = 0; i < std::min<std::size_t>(count, found.size()); ++i) {
      seams::ProcessUse process;
      process.card = cards_.cards[index].card.id;
      process.pid = static_cast<int>(found[i].pid);
      process.cgroup = cgroupOf(process.pid);
      if (found[i].usedGpuMemory != nvml::kNotAvailable) {
        process.memory = Bytes(static_cast<std::int64_t>(found[i].usedGpuMemory));
      }
      use.processes.push_back(std::move(process));
    }
  }
}

Result<seams::GpuUse> NvmlInventory::use() {
  seams::GpuUse use;
  for (std::size_t i = 0; i < offered_.size(); ++i) {
    const std::optional<Bytes> used = usedOf(offered_[i].device);
    if (!used) continue;
    seams::CardUse card{
        .card = cards_.cards[i].card.id, .used = *used, .busyPercent = std::nullopt};
    nvml::Utilization busy{};
    const auto ask = library_->call().utilization;
    if (ask != nullptr && ask(offered_[i].device, &busy) == nvml::kSuccess) {
      card.busyPercent = static_cast<int>(busy.gpu);
    }
    use.cards.push_back(card);
    addProcesses(i, use);
  }
  if (use.cards.empty() && !offered_.empty()) {
    return fail(ErrorKind::Unavailable, "the driver does not say how much memory any card uses");
  }
  return use;
}

}  // namespace okibi::gpu
