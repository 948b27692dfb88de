// What NvmlInventory does beside reading: the driver's events, and its memory limits per cgroup.

#include <algorithm>

#include <fmt/format.h>

#include "base/log.h"
#include "gpu/nvml_inventory.h"
#include "gpu/process_cgroup.h"
#include "gpu/xid_policy.h"

namespace okibi::gpu {
namespace {

constexpr std::uint64_t kWanted =
    nvml::kEventXid | nvml::kEventDoubleBitEcc | nvml::kEventGpuUnavailable;
constexpr std::uint32_t kWholeDevice = 0xFFFFFFFF;  // gpuInstanceId of an event without a partition

}  // namespace

Result<void> NvmlInventory::listen() {
  const nvml::Functions& call = library_->call();
  if (call.eventSetCreate == nullptr || call.eventSetFree == nullptr || call.eventWait == nullptr ||
      call.supportedEvents == nullptr || call.registerEvents == nullptr) {
    return fail(ErrorKind::Unavailable, "the driver offers no events");
  }
  if (auto code = call.eventSetCreate(&events_); code != nvml::kSuccess) {
    events_ = nullptr;
    return fail(ErrorKind::Unavailable, "events: " + describeNvml(code));
  }
  std::size_t registered = 0;
  for (std::size_t i = 0; i < offered_.size(); ++i) {
    // Events belong to whole devices; partitions of one are told apart by the event's instance.
    const bool again = i > 0 && offered_[i].parent == offered_[i - 1].parent;
    std::uint64_t offers = 0;
    if (again || call.supportedEvents(offered_[i].parent, &offers) != nvml::kSuccess) continue;
    const std::uint64_t types = offers & kWanted;
    if (types != 0 && call.registerEvents(offered_[i].parent, types, events_) == nvml::kSuccess) {
      ++registered;
    }
  }
  if (registered == 0) return fail(ErrorKind::Unavailable, "no card offers events");
  auto kernelLog = KernelLog::open(options_.kernelLog);
  if (kernelLog) {
    kernelLog_ = std::move(*kernelLog);
  } else {
    log::info("faults on shared cards are nobody's", "reason=\"{}\"", kernelLog.error().message);
  }
  return {};
}

// The kernel module writes its line before it tells of the event.
int NvmlInventory::processOf(CardId card, std::uint64_t xid) {
  if (!kernelLog_ || !card.valid()) return 0;
  const seams::CardFacts& facts = cards_.cards[card.value() - 1];
  return kernelLog_->processOf(facts.pciAddress, xid).value_or(0);
}

CardId NvmlInventory::cardOf(const nvml::EventData& event) const {
  for (std::size_t i = 0; i < offered_.size(); ++i) {
    if (offered_[i].parent != event.device && offered_[i].device != event.device) continue;
    const auto& mig = cards_.cards[i].mig;
    if (!mig || static_cast<std::uint32_t>(mig->gpuInstance) == event.gpuInstanceId) {
      return cards_.cards[i].card.id;
    }
  }
  return {};
}

Result<std::optional<seams::GpuEvent>> NvmlInventory::waitForEvent(Duration timeout) {
  if (events_ == nullptr) {
    if (auto listening = listen(); !listening) return fail(listening.error());
  }
  nvml::EventData data{};
  data.gpuInstanceId = kWholeDevice;
  const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count();
  const nvml::Return code =
      library_->call().eventWait(events_, &data, static_cast<std::uint32_t>(wait));
  if (code == nvml::kTimeout) return std::nullopt;
  if (code == nvml::kGpuIsLost) {
    return seams::GpuEvent{
        {}, seams::GpuEventKind::Lost, 0, seams::Consequence::TakeCardOut, "a card was lost"};
  }
  if (code != nvml::kSuccess) {
    return fail(ErrorKind::Unavailable, "events: " + describeNvml(code));
  }
  seams::GpuEvent event;
  event.card = cardOf(data);
  if (data.eventType == nvml::kEventXid) {
    event.code = data.eventData;
    event.consequence = consequenceOf(event.code);
    event.text = describeXid(event.code);
    event.pid = processOf(event.card, event.code);
  } else if (data.eventType == nvml::kEventDoubleBitEcc) {
    event.code = 48;
    event.consequence = consequenceOf(event.code);
    event.text = "a double-bit error in memory that cannot be corrected";
  } else {
    event.kind = seams::GpuEventKind::Lost;
    event.consequence = seams::Consequence::TakeCardOut;
    event.text = fmt::format("the card is unavailable (event {:#x})", data.eventType);
  }
  return event;
}

// ---- limits per cgroup

// The soft limit stays 0, so that nothing is reserved which would outlive the group: its removal
// needs no word to the driver.
Result<void> NvmlInventory::capMemory(CardId card, int pid, Bytes limit) {
  const nvml::Functions& call = library_->call();
  const Offered* offered = find(card);
  if (offered == nullptr) return fail(ErrorKind::NotFound, "no such card");
  if (call.setMemoryLimits == nullptr || call.getMemoryLimits == nullptr) {
    return fail(ErrorKind::Unavailable, "this driver has no memory limits per cgroup");
  }
  const std::string path = unifiedDirectoryOf(options_.procRoot, pid);
  if (path.empty()) {
    return fail(ErrorKind::Unavailable,
                fmt::format("process {} has no cgroup of its own in version 2", pid));
  }
  const auto wanted = static_cast<std::uint64_t>(limit.count());
  nvml::SetMemoryLimits order{path.c_str(), 0, wanted};
  if (auto code = call.setMemoryLimits(offered->device, &order); code != nvml::kSuccess) {
    return fail(ErrorKind::Unavailable,
                fmt::format("memory limit of {}: {}", path, describeNvml(code)));
  }
  nvml::GetMemoryLimits now{path.c_str(), 0, 0, 0};
  if (auto code = call.getMemoryLimits(offered->device, &now); code != nvml::kSuccess) {
    return fail(
        ErrorKind::Unavailable,
        fmt::format("memory limit of {}: set, but not to be read: {}", path, describeNvml(code)));
  }
  // The driver may round, but a limit above what was asked for is none.
  if (now.hardLimit > wanted || now.hardLimit < wanted - std::min<std::uint64_t>(wanted, 2 << 20)) {
    return fail(ErrorKind::Unavailable,
                fmt::format("memory limit of {}: {} bytes asked for, the driver says {}", path,
                            wanted, now.hardLimit));
  }
  return {};
}

}  // namespace okibi::gpu
