#pragma once
// What this process has been charged, thing by thing, and the way to the budget file. Everything
// here lies in one mapping that the kernel wipes in a forked child (MADV_WIPEONFORK), so a child
// begins with nothing of its parent's, whichever system call made it, and takes a slot of its own
// at its first charge.

#include <cstdint>

#include "shim/budget.h"
#include "shim/cuda_abi.h"

namespace okibi::shim {

// A mutex that needs no library and is free again in a wiped page.
class Lock {
 public:
  void lock();
  void unlock();

 private:
  std::uint32_t word_ = 0;  // 0 free, 1 held, 2 held and waited for
};

class Guard {
 public:
  explicit Guard(Lock& lock) : lock_(lock) { lock_.lock(); }
  ~Guard() { lock_.unlock(); }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

 private:
  Lock& lock_;
};

enum class Kind : std::uint8_t {
  None = 0,
  Pointer,      // cuMemAlloc and its like: key is the address
  Pooled,       // stream-ordered: charged through its pool, whose index is `other`
  Handle,       // cuMemCreate: key is the handle
  Mapping,      // cuMemMap: key is the address, `other` the handle
  ArrayObject,  // arrays and mipmapped arrays: key is the handle
  ContextObject,
  PrimaryContext,  // key is the device
  Exec,            // an executable graph that allocates: `units` at most per launch
};

struct Record {
  std::uint64_t key;
  std::uint64_t units;    // charged, or for Mapping and Exec what the kind says
  std::uint64_t context;  // that it dies with; 0: none
  std::uint64_t other;
  Kind kind;
  std::uint8_t card;
  std::uint16_t flags;       // kExported
  std::uint32_t references;  // Handle: handles and mappings alive; PrimaryContext: retains
};
inline constexpr std::uint16_t kExported = 1;

// Open addressing over a mapping of its own; grows by doubling. Callers hold the ledger's lock.
class Table {
 public:
  Record* find(Kind kind, std::uint64_t key);
  // False when memory for it cannot be had.
  bool insert(const Record& record);
  void erase(Record* record);
  // Removes each record for which drop(record) is true, after the call.
  template <class F>
  void eraseIf(F drop) {
    for (std::uint64_t i = 0; i < capacity_;) {
      if (slots_[i].kind != Kind::None && drop(slots_[i]))
        erase(&slots_[i]);
      else
        ++i;  // what erase() moved into this place is looked at again
    }
  }

 private:
  bool grow();
  std::uint64_t home(Kind kind, std::uint64_t key) const;

  Record* slots_ = nullptr;
  std::uint64_t capacity_ = 0;  // a power of two
  std::uint64_t count_ = 0;
};

struct PoolRecord {
  cuda::Pool pool;      // null: entry is free
  std::uint64_t units;  // charged: what the driver has reserved for it
  std::uint64_t used;   // of that, by living allocations, as far as we have seen them
  std::uint8_t card;
  bool counted;    // false: imported, or not of device memory
  bool destroyed;  // its last allocations still live
};
inline constexpr unsigned kMaxPools = 256;

struct GraphMemory {
  std::uint64_t units;  // charged for the memory that the driver keeps for graphs of a device
};

struct Ledger {
  budget::Process self;  // of the slot
  Lock lock;
  Lock poolLock;  // taken before `lock`; held while the driver serves a pool
  bool claimed;
  unsigned slot;
  Table table;
  PoolRecord pools[kMaxPools];
  unsigned poolCount;  // entries ever used
  GraphMemory graphs[budget::kMaxCards];
  unsigned execs;  // that allocate
};

// Maps the budget file for the process. Null, or what is wrong.
const char* openBudget(const char* path);
bool budgetOpen();
budget::File& budgetFile();
Ledger& ledger();

// Card of the budget for a device ordinal of this process, or -1 when the instance was not given
// it.
int cardOf(cuda::Device device);

// Charge first: kSuccess, kOutOfMemory, or kOperatingSystem when the budget no longer takes
// charges. Dead processes' slots are reaped before an allocation is refused.
cuda::Status charge(int card, std::uint64_t units);
void chargeRegardless(int card, std::uint64_t units);
void giveBack(int card, std::uint64_t units);
void mark(std::uint32_t marks);
std::uint64_t usedOf(int card);
std::uint64_t limitOf(int card);
// So that what dead processes held is not shown as used. Costs nothing while this process is the
// only one.
void reap(int card);

// Of the calling thread's current context; 0 where there is none (the driver will refuse the call
// itself).
int currentCard();
std::uint64_t currentContext();

}  // namespace okibi::shim
