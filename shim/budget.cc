#include "shim/budget.h"

namespace okibi::budget {
namespace {

constexpr unsigned kUsedBits = 34, kSlotBits = 10, kSequenceBits = 20, kChargeBits = 44;
constexpr std::uint64_t kSequenceMask = (1u << kSequenceBits) - 1;
constexpr std::uint64_t kChargeMask = (std::uint64_t{1} << kChargeBits) - 1;

struct Last {
  std::uint64_t used;
  unsigned slot;
  std::uint64_t sequence;
};

constexpr Last unpack(std::uint64_t word) {
  return {word & kMaxUnits, static_cast<unsigned>(word >> kUsedBits & (kSlots - 1)),
          word >> (kUsedBits + kSlotBits)};
}

constexpr std::uint64_t pack(const Last& last) {
  return last.used | static_cast<std::uint64_t>(last.slot) << kUsedBits |
         last.sequence << (kUsedBits + kSlotBits);
}
static_assert((1u << kSlotBits) == kSlots && kUsedBits + kSlotBits + kSequenceBits == 64);

std::uint64_t load(const std::uint64_t& word) {
  return __atomic_load_n(&word, __ATOMIC_SEQ_CST);
}

void store(std::uint64_t& word, std::uint64_t value) {
  __atomic_store_n(&word, value, __ATOMIC_SEQ_CST);
}

bool swap(std::uint64_t& word, std::uint64_t expected, std::uint64_t desired) {
  return __atomic_compare_exchange_n(&word, &expected, desired, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST);
}

std::uint64_t chargeWord(std::uint64_t units, std::uint64_t sequence) {
  return (units & kChargeMask) | (sequence & kSequenceMask) << kChargeBits;
}

// Carries out on its slot what made `last` what it is. Harmless when that was done already: then
// the slot's sequence has moved, and the exchange fails.
void carryOut(File& file, unsigned card, const Last& last) {
  Charge& charge = file.slots[last.slot].charges[card];
  const std::uint64_t word = load(charge.word);
  if ((word >> kChargeBits) != ((last.sequence - 1) & kSequenceMask)) return;
  const std::uint64_t operation = load(charge.operation);
  if ((operation >> kChargeBits) != last.sequence) return;
  // Modular addition of the signed change.
  swap(charge.word, word, chargeWord(word + (operation & kChargeMask), last.sequence));
}

void mix(std::uint64_t& hash, const void* bytes, std::size_t count) {
  const auto* at = static_cast<const unsigned char*>(bytes);
  for (std::size_t i = 0; i < count; ++i) hash = (hash ^ at[i]) * 0x100000001b3;
}

}  // namespace

std::uint64_t checksumOf(const File& file) {
  std::uint64_t hash = 0xcbf29ce484222325;
  mix(hash, &file.magic, sizeof file.magic);
  mix(hash, &file.version, sizeof file.version);
  mix(hash, &file.cards, sizeof file.cards);
  mix(hash, &file.contextUnits, sizeof file.contextUnits);
  for (const Card& card : file.card) {
    mix(hash, &card.limit, sizeof card.limit);
    mix(hash, card.uuid, sizeof card.uuid);
  }
  return hash;
}

const char* faultOf(const File& file) {
  if (file.magic != kMagic) return "is not a budget file";
  if (file.version != kVersion) return "has a version this library does not know";
  if (file.checksum != checksumOf(file)) return "is damaged (checksum)";
  if (file.cards == 0 || file.cards > kMaxCards) return "names no card, or too many";
  for (unsigned card = 0; card < file.cards; ++card) {
    if (file.card[card].limit > kMaxUnits) return "has a limit out of range";
  }
  if (__atomic_load_n(&file.state, __ATOMIC_SEQ_CST) == kCorrupt) return "is damaged (sums)";
  return nullptr;
}

std::uint64_t usedUnits(const File& file, unsigned card) {
  return unpack(load(file.card[card].last)).used;
}

std::uint64_t slotUnits(File& file, unsigned slot, unsigned card) {
  carryOut(file, card, unpack(load(file.card[card].last)));
  return load(file.slots[slot].charges[card].word) & kChargeMask;
}

Outcome change(File& file, unsigned slot, unsigned card, std::int64_t units, Rule rule) {
  Card& shared = file.card[card];
  Charge& charge = file.slots[slot].charges[card];
  while (true) {
    if (units > 0 && __atomic_load_n(&file.state, __ATOMIC_SEQ_CST) != kOpen)
      return Outcome::Closed;
    const std::uint64_t word = load(shared.last);
    const Last last = unpack(word);
    carryOut(file, card, last);
    const std::int64_t sum = static_cast<std::int64_t>(last.used) + units;
    if (sum < 0 || sum > static_cast<std::int64_t>(kMaxUnits)) {
      if (units > 0) return Outcome::OverLimit;
      __atomic_store_n(&file.state, kCorrupt, __ATOMIC_SEQ_CST);
      return Outcome::Closed;
    }
    if (units > 0 && rule == Rule::WithinLimit && static_cast<std::uint64_t>(sum) > shared.limit)
      return Outcome::OverLimit;
    const std::uint64_t sequence = ((load(charge.word) >> kChargeBits) + 1) & kSequenceMask;
    store(charge.operation, chargeWord(static_cast<std::uint64_t>(units), sequence));
    const Last next{static_cast<std::uint64_t>(sum), slot, sequence};
    if (!swap(shared.last, word, pack(next))) continue;
    carryOut(file, card, next);
    return Outcome::Done;
  }
}

int claimSlot(File& file, const Process& self) {
  const std::uint64_t mine = ownerWord(Holder::Owner, self);
  for (unsigned i = 0; i < kSlots; ++i) {
    Slot& slot = file.slots[i];
    if (load(slot.owner) != 0 || !swap(slot.owner, 0, mine)) continue;
    __atomic_store_n(&slot.pidNamespace, self.pidNamespace, __ATOMIC_SEQ_CST);
    return static_cast<int>(i);
  }
  return -1;
}

void releaseSlot(File& file, unsigned slot) {
  for (unsigned card = 0; card < kMaxCards; ++card) {
    const std::uint64_t units = slotUnits(file, slot, card);
    if (units) change(file, slot, card, -static_cast<std::int64_t>(units), Rule::Regardless);
  }
  __atomic_store_n(&file.slots[slot].marks, 0, __ATOMIC_SEQ_CST);
  __atomic_store_n(&file.slots[slot].pidNamespace, 0, __ATOMIC_SEQ_CST);
  store(file.slots[slot].owner, 0);
}

bool reapSlot(File& file, unsigned slot, std::uint64_t seen, Holder as, const Process& reaper) {
  if (!swap(file.slots[slot].owner, seen, ownerWord(as, reaper))) return false;
  releaseSlot(file, slot);
  return true;
}

}  // namespace okibi::budget
