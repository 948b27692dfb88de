#include "shim/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim/hooks.h"
#include "shim/process.h"

namespace okibi::shim {

__thread int Entry::depth_ = 0;

namespace {

budget::File* mappedBudget = nullptr;
Ledger* mappedLedger = nullptr;

void* mapZeroed(std::size_t bytes) {
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return at == MAP_FAILED ? nullptr : at;
}

// The caller holds the ledger's lock.
bool ensureSlot() {
  Ledger& own = ledger();
  if (own.claimed) return true;
  own.self = selfProcess();
  int slot = budget::claimSlot(budgetFile(), own.self);
  if (slot < 0 && reapDead(budgetFile(), own.self) > 0)
    slot = budget::claimSlot(budgetFile(), own.self);
  if (slot < 0) return false;
  own.slot = static_cast<unsigned>(slot);
  own.claimed = true;
  return true;
}

cuda::Status statusOf(budget::Outcome outcome) {
  if (outcome == budget::Outcome::Done) return cuda::kSuccess;
  return outcome == budget::Outcome::OverLimit ? cuda::kOutOfMemory : cuda::kOperatingSystem;
}

// "GPU-" and the sixteen bytes in hexadecimal, 4-2-2-2-6.
void spell(const cuda::Uuid& uuid, char (&text)[48]) {
  char* at = text + snprintf(text, sizeof text, "GPU-");
  for (int i = 0; i < 16; ++i) {
    const char* dash = i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "";
    at += snprintf(at, 4, "%s%02x", dash, uuid.bytes[i]);
  }
}

}  // namespace

void Lock::lock() {
  std::uint32_t seen = 0;
  if (__atomic_compare_exchange_n(&word_, &seen, 1u, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
    return;
  while (__atomic_exchange_n(&word_, 2u, __ATOMIC_ACQUIRE) != 0)
    syscall(SYS_futex, &word_, FUTEX_WAIT_PRIVATE, 2, nullptr, nullptr, 0);
}

void Lock::unlock() {
  if (__atomic_exchange_n(&word_, 0u, __ATOMIC_RELEASE) == 2)
    syscall(SYS_futex, &word_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

std::uint64_t Table::home(Kind kind, std::uint64_t key) const {
  const std::uint64_t mixed = (key ^ static_cast<std::uint64_t>(kind) << 56) * 0x9e3779b97f4a7c15;
  return (mixed ^ mixed >> 32) & (capacity_ - 1);
}

Record* Table::find(Kind kind, std::uint64_t key) {
  if (!capacity_) return nullptr;
  for (std::uint64_t i = home(kind, key); slots_[i].kind != Kind::None;
       i = (i + 1) & (capacity_ - 1)) {
    if (slots_[i].key == key && slots_[i].kind == kind) return &slots_[i];
  }
  return nullptr;
}

bool Table::grow() {
  const std::uint64_t larger = capacity_ ? capacity_ * 2 : 1024;
  auto* fresh = static_cast<Record*>(mapZeroed(larger * sizeof(Record)));
  if (!fresh) return false;
  Record* old = slots_;
  const std::uint64_t before = capacity_;
  slots_ = fresh;
  capacity_ = larger;
  count_ = 0;
  for (std::uint64_t i = 0; i < before; ++i) {
    if (old[i].kind != Kind::None) insert(old[i]);
  }
  if (old) munmap(old, before * sizeof(Record));
  return true;
}

bool Table::insert(const Record& record) {
  if ((count_ + 1) * 2 > capacity_ && !grow()) return false;
  std::uint64_t i = home(record.kind, record.key);
  while (slots_[i].kind != Kind::None) i = (i + 1) & (capacity_ - 1);
  slots_[i] = record;
  ++count_;
  return true;
}

void Table::erase(Record* record) {
  const std::uint64_t mask = capacity_ - 1;
  auto hole = static_cast<std::uint64_t>(record - slots_);
  // Whatever follows in the run and may stand in the hole moves there.
  for (std::uint64_t i = (hole + 1) & mask; slots_[i].kind != Kind::None; i = (i + 1) & mask) {
    const std::uint64_t from = home(slots_[i].kind, slots_[i].key);
    if (((i - from) & mask) < ((i - hole) & mask)) continue;
    slots_[hole] = slots_[i];
    hole = i;
  }
  slots_[hole] = Record{};
  --count_;
}

const char* openBudget(const char* path) {
  if (mappedBudget) return budget::faultOf(*mappedBudget);
  const int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return errno == ENOENT ? "is missing" : "cannot be opened for reading and writing";
  const bool whole = lseek(fd, 0, SEEK_END) == static_cast<off_t>(sizeof(budget::File));
  void* at = whole ? mmap(nullptr, sizeof(budget::File), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
                   : MAP_FAILED;
  close(fd);
  if (!whole) return "has the wrong size";
  if (at == MAP_FAILED) return "cannot be mapped";
  auto* file = static_cast<budget::File*>(at);
  if (const char* fault = budget::faultOf(*file)) {
    munmap(at, sizeof(budget::File));
    return fault;
  }
  void* own = mapZeroed(sizeof(Ledger));
  if (!own || madvise(own, sizeof(Ledger), MADV_WIPEONFORK) != 0)
    return "cannot be accounted for (memory)";
  mappedLedger = static_cast<Ledger*>(own);
  mappedBudget = file;
  return nullptr;
}

bool budgetOpen() {
  return mappedBudget != nullptr;
}

budget::File& budgetFile() {
  return *mappedBudget;
}

Ledger& ledger() {
  return *mappedLedger;
}

int cardOf(cuda::Device device) {
  const budget::File& file = budgetFile();
  cuda::Uuid uuid{};
  if (file.card[0].uuid[0] == 0 || call<"cuDeviceGetUuid_v2">(&uuid, device) != cuda::kSuccess)
    return device >= 0 && static_cast<unsigned>(device) < file.cards ? device : -1;
  char text[48];
  spell(uuid, text);
  for (unsigned i = 0; i < file.cards; ++i) {
    if (strncmp(text, file.card[i].uuid, sizeof text) == 0) return static_cast<int>(i);
  }
  return -1;
}

cuda::Status charge(int card, std::uint64_t units) {
  if (card < 0) return cuda::kInvalidDevice;
  if (units > budget::kMaxUnits) return cuda::kOutOfMemory;
  const Guard guard(ledger().lock);
  if (!ensureSlot()) return cuda::kOperatingSystem;
  budget::File& file = budgetFile();
  const auto change = [&] {
    return budget::change(file, ledger().slot, static_cast<unsigned>(card),
                          static_cast<std::int64_t>(units), budget::Rule::WithinLimit);
  };
  budget::Outcome outcome = change();
  if (outcome == budget::Outcome::OverLimit && reapDead(file, ledger().self) > 0)
    outcome = change();
  return statusOf(outcome);
}

void chargeRegardless(int card, std::uint64_t units) {
  const Guard guard(ledger().lock);
  if (card < 0 || !ensureSlot()) return;
  budget::change(budgetFile(), ledger().slot, static_cast<unsigned>(card),
                 static_cast<std::int64_t>(units), budget::Rule::Regardless);
}

void giveBack(int card, std::uint64_t units) {
  const Guard guard(ledger().lock);
  if (card < 0 || !units || !ledger().claimed) return;
  budget::change(budgetFile(), ledger().slot, static_cast<unsigned>(card),
                 -static_cast<std::int64_t>(units), budget::Rule::Regardless);
}

void mark(std::uint32_t marks) {
  const Guard guard(ledger().lock);
  if (!ensureSlot()) return;
  __atomic_fetch_or(&budgetFile().slots[ledger().slot].marks, marks, __ATOMIC_SEQ_CST);
}

std::uint64_t usedOf(int card) {
  return card < 0 ? 0
                  : budget::usedUnits(budgetFile(), static_cast<unsigned>(card)) * budget::kUnit;
}

std::uint64_t limitOf(int card) {
  return card < 0 ? 0 : budgetFile().card[card].limit * budget::kUnit;
}

void reap(int card) {
  const Guard guard(ledger().lock);
  if (card < 0 || !ensureSlot()) return;
  budget::File& file = budgetFile();
  const auto index = static_cast<unsigned>(card);
  if (budget::usedUnits(file, index) == budget::slotUnits(file, ledger().slot, index)) return;
  reapDead(file, ledger().self);
}

int currentCard() {
  cuda::Device device = 0;
  if (call<"cuCtxGetDevice">(&device) != cuda::kSuccess) return 0;
  return cardOf(device);
}

std::uint64_t currentContext() {
  cuda::Context context = nullptr;
  if (call<"cuCtxGetCurrent">(&context) != cuda::kSuccess) return 0;
  return reinterpret_cast<std::uint64_t>(context);
}

}  // namespace okibi::shim
