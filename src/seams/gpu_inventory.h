#pragma once
// GpuInventory: which cards this machine has, who uses them, and what happens to them. Implemented
// by gpu/ over the driver and by simulated cards, never both in one daemon; the fake for tests is
// seams/fake_gpu_inventory.h.
// describe() and cgroupOf() may be called anywhere; the rest blocks: on a worker thread.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/units.h"
#include "model/gpu_spec.h"

namespace okibi::seams {

// A hardware partition of a card, offered as a card of its own.
struct MigPart {
  std::string parentUuid;
  int gpuInstance = 0, computeInstance = 0;
};

// What is fixed about a card while the daemon runs. `card.memory` is what slices may take of it:
// whole GiB of `total` less `reserved`.
struct CardFacts {
  Card card;
  std::string name;        // the maker's: "NVIDIA H100 80GB HBM3"
  Bytes total, reserved;   // physical memory, and the driver's part of it
  std::string pciAddress;  // "0000:17:00.0"; empty: none
  std::optional<int> numaNode;
  std::optional<int> minorNumber;                // N of /dev/nvidiaN; not the order of cards
  int capabilityMajor = 0, capabilityMinor = 0;  // CUDA compute capability
  std::optional<MigPart> mig;
};

struct Cards {
  std::string driverVersion;  // empty: no driver
  std::vector<CardFacts> cards;
};

// What the driver says one process holds on one card.
struct ProcessUse {
  CardId card;
  int pid = 0;         // on the host
  std::string cgroup;  // of the process (see cgroupOf); empty: it is gone
  std::optional<Bytes> memory;
};

struct CardUse {
  CardId card;
  Bytes used;                      // by everybody, reserved part left out
  std::optional<int> busyPercent;  // of the last period in which any kernel ran
};

struct GpuUse {
  std::vector<CardUse> cards;
  std::vector<ProcessUse> processes;
};

enum class GpuEventKind { Xid, Lost };
// What an event means for the card and for whom it hit.
enum class Consequence {
  Report,       // written down
  EndInstance,  // an application's fault: whoever ran on the card at that moment ends, the card
                // stays
  TakeCardOut,  // the card gets no more work until somebody has looked at it
};
struct GpuEvent {
  CardId card;  // none: the driver did not say
  GpuEventKind kind = GpuEventKind::Xid;
  std::uint64_t code = 0;  // the Xid
  Consequence consequence = Consequence::Report;
  std::string text;  // "Xid 79: the card has fallen off the bus"
  int pid = 0;       // of the process at fault, on the host; 0: not known
};

class GpuInventory {
 public:
  virtual ~GpuInventory() = default;

  virtual const Cards& describe() const = 0;
  // The control group of a process of this host, as in ProcessUse; empty: it is gone.
  virtual std::string cgroupOf(int pid) const = 0;
  // From now on the driver itself refuses what the control group of `pid` would take of the card
  // beyond `limit`, contexts included; lasts as long as the group. Set, then read back: only that
  // tells whether the driver does it. Unavailable: it does not, for this card or this group.
  virtual Result<void> capMemory(CardId card, int pid, Bytes limit) = 0;
  // A moment's use of all cards. Unavailable when the driver does not answer; a single card that
  // does not is left out.
  virtual Result<GpuUse> use() = 0;
  // The next event, or nothing after `timeout`. One caller at a time. Unavailable: there will be
  // none (not offered by the driver, or it failed).
  virtual Result<std::optional<GpuEvent>> waitForEvent(Duration timeout) = 0;
};

}  // namespace okibi::seams
