#pragma once
// The budget file: how much memory of each card the processes of one instance may use together, and
// how much each uses. The daemon creates it (gpu/budget_file.h), the launcher mounts it into the
// container, and every process there maps it through the shim. It is the contract between them; a
// change of layout is a change of kVersion, and a shim refuses every GPU call under a version it
// does not know.
//
// Who writes what: the daemon everything, before the first process starts; later only `state`, and
// slots it reaps. The shim its own slot, slots of dead processes it reaps, and `last` of a card.
// Nobody takes a lock over processes.
//
// How a charge is made so that a process killed between any two instructions loses nothing: a
// card's `last` holds the sum of all charges together with the name (slot, sequence) of the
// operation that made it so, changed by one compare-and-swap. What that operation does to its slot
// is written into the slot beforehand, and whoever changes `last` next, or reaps, first carries it
// out, at most once: the slot's own word holds the sequence it has seen.

#include <cstddef>
#include <cstdint>

namespace okibi::budget {

inline constexpr std::uint64_t kMagic = 0x314447424b4f0a7f;  // "\x7f\nOKBGD1"
inline constexpr std::uint32_t kVersion = 1;
inline constexpr unsigned kMaxCards = 8;
inline constexpr unsigned kSlots = 1024;
// Charges are counted in units of what the driver rounds its smallest allocation to.
inline constexpr std::uint64_t kUnit = 512;
inline constexpr std::uint64_t kMaxUnits = (std::uint64_t{1} << 34) - 1;  // 8 TiB

enum State : std::uint32_t { kOpen = 0, kClosed = 1, kCorrupt = 2 };

// Why an instance cannot be parked by the driver, or only with more work (bits of Slot::marks).
enum Mark : std::uint32_t {
  kMarkManaged = 1,
  kMarkIpcImport = 2,
  kMarkVmmImport = 4,
  kMarkPoolImport = 8,
  kMarkExternalImport = 16,
  kMarkMulticast = 32,
  kMarkExport = 64,
};

struct Card {
  std::uint64_t last;   // used units (34 bits), slot (10), sequence (20), from the low end
  std::uint64_t limit;  // units; constant
  char uuid[48];  // "GPU-…" as the driver spells it, zero-filled; empty: card i is the process's
                  // device i
};
static_assert(sizeof(Card) == 64);

struct Charge {
  std::uint64_t word;       // units charged (44 bits), sequence last carried out (20)
  std::uint64_t operation;  // signed change in units (44), its sequence (20)
};

struct Slot {
  std::uint64_t owner;         // ownerWord(), 0: free
  std::uint32_t pidNamespace;  // inode of the namespace the pid is counted in; 0: not known yet
  std::uint32_t marks;
  Charge charges[kMaxCards];
  std::uint64_t reserved[6];
};
static_assert(sizeof(Slot) == 192);

struct File {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t cards;
  std::uint64_t
      contextUnits;  // charged for each context: what the driver takes beside allocations; constant
  std::uint64_t checksum;  // of all constants, checksumOf()
  std::uint32_t state;
  std::uint32_t reserved0;
  std::uint64_t reserved1[3];
  Card card[kMaxCards];
  std::uint64_t reserved2[440];
  Slot slots[kSlots];
};
static_assert(offsetof(File, card) == 64 && offsetof(File, slots) == 4096);
static_assert(sizeof(File) == 4096 + kSlots * sizeof(Slot));

// A process, told apart from a later one with the same number by the clock tick it started at.
struct Process {
  std::uint32_t pid = 0;        // as counted in its own namespace; at most 22 bits (PID_MAX_LIMIT)
  std::uint64_t startTick = 0;  // /proc/PID/stat field 22; 0: not known
  std::uint32_t pidNamespace = 0;  // inode of /proc/PID/ns/pid

  bool operator==(const Process&) const = default;
};

// What holds a slot: a process that computes, one that is emptying it, or the daemon emptying it.
enum class Holder : std::uint64_t { None = 0, Owner = 1, Reaper = 2, Daemon = 3 };

constexpr std::uint64_t ownerWord(Holder holder, const Process& process) {
  return static_cast<std::uint64_t>(holder) << 62 |
         (process.startTick & ((std::uint64_t{1} << 40) - 1)) << 22 | (process.pid & 0x3fffff);
}
constexpr Holder holderOf(std::uint64_t word) {
  return static_cast<Holder>(word >> 62);
}
constexpr std::uint32_t pidOf(std::uint64_t word) {
  return word & 0x3fffff;
}
constexpr std::uint64_t startTickOf(std::uint64_t word) {
  return word >> 22 & ((std::uint64_t{1} << 40) - 1);
}
constexpr std::uint64_t unitsOf(std::uint64_t bytes) {
  return bytes / kUnit + (bytes % kUnit != 0);
}

// FNV-1a over the constants. A torn or foreign file fails here.
std::uint64_t checksumOf(const File& file);

// Null, or what is wrong with it, in words for a log.
const char* faultOf(const File& file);

enum class Rule { WithinLimit, Regardless };
enum class Outcome { Done, OverLimit, Closed };

// Units of the card charged by all processes.
std::uint64_t usedUnits(const File& file, unsigned card);
// Units of the card charged by the slot. Exact when its owner is dead or asks itself.
std::uint64_t slotUnits(File& file, unsigned slot, unsigned card);

// Changes what a slot is charged for a card. One caller at a time per slot, which is its holder;
// any number of slots at once. A negative change never fails. `Closed` when the daemon has closed
// the budget or the sums contradict each other.
Outcome change(File& file, unsigned slot, unsigned card, std::int64_t units, Rule rule);

// A free slot taken for `self`, or -1.
int claimSlot(File& file, const Process& self);

// Empties and frees a slot held by the caller.
void releaseSlot(File& file, unsigned slot);

// Takes over the slot of a holder known to be dead (`seen` is its word) and frees it. False:
// somebody else was quicker.
bool reapSlot(File& file, unsigned slot, std::uint64_t seen, Holder as, const Process& reaper);

}  // namespace okibi::budget
