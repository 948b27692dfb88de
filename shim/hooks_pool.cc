// Stream-ordered memory: a pool is charged by what the driver has reserved for it
// (CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT), not by what the program holds, because freed memory stays
// in the pool until a synchronization, or for ever.

#include "shim/allocation.h"

namespace okibi::shim {
namespace {

std::uint64_t attribute(cuda::Pool pool, int which) {
  std::uint64_t value = 0;
  return call<"cuMemPoolGetAttribute">(pool, which, static_cast<void*>(&value)) == cuda::kSuccess
             ? value
             : 0;
}

// All functions on PoolRecord need the pool lock.
PoolRecord* findPool(cuda::Pool pool) {
  Ledger& own = ledger();
  for (unsigned i = 0; i < own.poolCount; ++i) {
    if (own.pools[i].pool == pool && !own.pools[i].destroyed) return &own.pools[i];
  }
  return nullptr;
}

PoolRecord* addPool(cuda::Pool pool, int card, bool counted) {
  Ledger& own = ledger();
  unsigned i = 0;
  while (i < own.poolCount && own.pools[i].pool) ++i;
  if (i == kMaxPools) return nullptr;
  own.pools[i] = {.pool = pool,
                  .units = 0,
                  .used = 0,
                  .card = static_cast<std::uint8_t>(card),
                  .counted = counted,
                  .destroyed = false};
  if (i == own.poolCount) ++own.poolCount;
  return &own.pools[i];
}

PoolRecord* knownPool(cuda::Pool pool) {
  PoolRecord* record = findPool(pool);
  if (record) return record;
  const int card = currentCard();
  return card < 0 ? nullptr : addPool(pool, card, true);
}

// Makes the charge what the pool really has. kOutOfMemory when the rest does not fit; then nothing
// is changed.
cuda::Status trueUp(PoolRecord& record, budget::Rule rule) {
  if (!record.counted || record.destroyed) return cuda::kSuccess;
  const std::uint64_t real = budget::unitsOf(attribute(record.pool, cuda::kPoolReserved));
  if (real > record.units) {
    if (rule == budget::Rule::Regardless)
      chargeRegardless(record.card, real - record.units);
    else if (const cuda::Status refused = charge(record.card, real - record.units))
      return refused;
  } else {
    giveBack(record.card, record.units - real);
  }
  record.units = real;
  return cuda::kSuccess;
}

void trueUpAll() {
  for (unsigned i = 0; i < ledger().poolCount; ++i) {
    if (ledger().pools[i].pool) trueUp(ledger().pools[i], budget::Rule::Regardless);
  }
}

void trimAll() {
  for (unsigned i = 0; i < ledger().poolCount; ++i) {
    const PoolRecord& record = ledger().pools[i];
    if (record.pool && record.counted && !record.destroyed)
      call<"cuMemPoolTrimTo">(record.pool, std::size_t{0});
  }
  trueUpAll();
}

// A freed pointer changes the charge only when its pool is gone already.
void leavePool(const Record& was) {
  PoolRecord& pool = ledger().pools[was.other];
  pool.used -= was.units < pool.used ? was.units : pool.used;
  if (!pool.destroyed) return;
  const std::uint64_t units = was.units < pool.units ? was.units : pool.units;
  giveBack(pool.card, units);
  pool.units -= units;
  if (pool.units == 0) pool = PoolRecord{};
}

// What the pool must at least grow by.
std::uint64_t growth(const PoolRecord& record, std::uint64_t units) {
  const std::uint64_t wanted = record.used + units;
  return wanted > record.units ? wanted - record.units : 0;
}

cuda::Status chargeGrowth(PoolRecord& record, std::uint64_t wanted) {
  std::uint64_t units = growth(record, wanted);
  cuda::Status refused = charge(record.card, units);
  if (refused == cuda::kOutOfMemory) {
    trimAll();
    units = growth(record, wanted);
    refused = charge(record.card, units);
  }
  if (refused == cuda::kSuccess) record.units += units;
  return refused;
}

// `make` allocates into *out from the pool, `undo` frees it again.
template <class Make, class Undo>
cuda::Status fromPool(cuda::Pool pool, cuda::DevicePtr* out, std::size_t bytes, Make make,
                      Undo undo) {
  const Guard guard(ledger().poolLock);
  PoolRecord* record = knownPool(pool);
  if (!record) return cuda::kOutOfMemory;
  if (!record->counted) return make();
  const std::uint64_t units = budget::unitsOf(bytes);
  if (const cuda::Status refused = chargeGrowth(*record, units)) return refused;
  cuda::Status status = make();
  if (trueUp(*record, budget::Rule::WithinLimit) != cuda::kSuccess) {
    // The pool grew by more than was needed, and the rest is not ours to take.
    if (status == cuda::kSuccess) undo();
    trimAll();
    return cuda::kOutOfMemory;
  }
  if (status != cuda::kSuccess) return status;
  const auto index = static_cast<std::uint64_t>(record - ledger().pools);
  record->used += units;
  remember({.key = *out,
            .units = units,
            .context = 0,
            .other = index,
            .kind = Kind::Pooled,
            .card = record->card,
            .flags = 0,
            .references = 1});
  return status;
}

// What is allocated while a stream is captured becomes a node of a graph (hooks_graph.cc).
template <Name Ask>
bool capturing(cuda::Stream stream) {
  int state = 0;
  return call<Ask>(stream, &state) == cuda::kSuccess && state != 0;
}

template <Name N, Name Free, Name Ask>
cuda::Status allocAsync(cuda::DevicePtr* out, std::size_t bytes, cuda::Stream stream) {
  const Entry entry;
  if (entry.nested() || capturing<Ask>(stream)) return call<N>(out, bytes, stream);
  cuda::Device device = 0;
  cuda::Pool pool = nullptr;
  call<"cuCtxGetDevice">(&device);
  if (call<"cuDeviceGetMemPool">(&pool, device) != cuda::kSuccess)
    return call<N>(out, bytes, stream);
  return fromPool(
      pool, out, bytes, [&] { return call<N>(out, bytes, stream); },
      [&] { return call<Free>(*out, stream); });
}

template <Name N>
cuda::Status memAllocAsync(cuda::DevicePtr* out, std::size_t bytes, cuda::Stream stream) {
  return allocAsync<N, "cuMemFreeAsync", "cuStreamIsCapturing">(out, bytes, stream);
}

template <Name N>
cuda::Status memAllocAsyncPerThread(cuda::DevicePtr* out, std::size_t bytes, cuda::Stream stream) {
  return allocAsync<N, "cuMemFreeAsync_ptsz", "cuStreamIsCapturing_ptsz">(out, bytes, stream);
}

template <Name N, Name Free, Name Ask>
cuda::Status allocFromPool(cuda::DevicePtr* out, std::size_t bytes, cuda::Pool pool,
                           cuda::Stream stream) {
  const Entry entry;
  if (entry.nested() || capturing<Ask>(stream)) return call<N>(out, bytes, pool, stream);
  return fromPool(
      pool, out, bytes, [&] { return call<N>(out, bytes, pool, stream); },
      [&] { return call<Free>(*out, stream); });
}

template <Name N>
cuda::Status memAllocFromPool(cuda::DevicePtr* out, std::size_t bytes, cuda::Pool pool,
                              cuda::Stream stream) {
  return allocFromPool<N, "cuMemFreeAsync", "cuStreamIsCapturing">(out, bytes, pool, stream);
}

template <Name N>
cuda::Status memAllocFromPoolPerThread(cuda::DevicePtr* out, std::size_t bytes, cuda::Pool pool,
                                       cuda::Stream stream) {
  return allocFromPool<N, "cuMemFreeAsync_ptsz", "cuStreamIsCapturing_ptsz">(out, bytes, pool,
                                                                             stream);
}

// The pool lock is held over the call, so that nobody is given the address before its record is
// gone.
template <Name N>
cuda::Status memFreeAsync(cuda::DevicePtr pointer, cuda::Stream stream) {
  const Entry entry;
  if (entry.nested()) return call<N>(pointer, stream);
  const Guard guard(ledger().poolLock);
  Record was = take(Kind::Pooled, pointer);
  if (was.kind == Kind::None) was = take(Kind::Pointer, pointer);
  const cuda::Status status = call<N>(pointer, stream);
  if (was.kind == Kind::None) return status;
  if (status != cuda::kSuccess)
    remember(was);
  else if (was.kind == Kind::Pooled)
    leavePool(was);
  else
    giveBack(was.card, was.units);
  return status;
}

template <Name N>
cuda::Status memPoolCreate(cuda::Pool* pool, const cuda::PoolProps* props) {
  const Entry entry;
  const cuda::Status status = call<N>(pool, props);
  if (entry.nested() || status != cuda::kSuccess) return status;
  const bool onDevice = props->location.type == cuda::kLocationDevice;
  const bool managed = props->allocType == cuda::kAllocationManaged;
  const int card = onDevice ? cardOf(props->location.id) : currentCard();
  const Guard guard(ledger().poolLock);
  if (card < 0 || !addPool(*pool, card, onDevice || managed)) {
    call<"cuMemPoolDestroy">(*pool);
    return cuda::kOutOfMemory;
  }
  if (managed) mark(budget::kMarkManaged);
  return status;
}

// What its living allocations use is charged until they are freed.
template <Name N>
cuda::Status memPoolDestroy(cuda::Pool pool) {
  const Entry entry;
  if (entry.nested()) return call<N>(pool);
  const Guard guard(ledger().poolLock);
  PoolRecord* record = findPool(pool);
  const std::uint64_t used = record ? budget::unitsOf(attribute(pool, cuda::kPoolUsed)) : 0;
  const cuda::Status status = call<N>(pool);
  if (status != cuda::kSuccess || !record) return status;
  if (record->counted && record->units > used) {
    giveBack(record->card, record->units - used);
    record->units = used;
  }
  record->destroyed = true;
  if (record->units == 0) *record = PoolRecord{};
  return status;
}

template <Name N>
cuda::Status memPoolTrimTo(cuda::Pool pool, std::size_t keep) {
  const Entry entry;
  const cuda::Status status = call<N>(pool, keep);
  if (!entry.nested()) trueUpPools();
  return status;
}

// Waiting for the device is when the driver takes memory back from pools.
template <Name N, class... A>
cuda::Status synchronize(A... arguments) {
  const Entry entry;
  const cuda::Status status = call<N>(arguments...);
  if (!entry.nested() && __atomic_load_n(&ledger().poolCount, __ATOMIC_RELAXED) > 0) trueUpPools();
  return status;
}

template <Name N>
cuda::Status waitStream(cuda::Stream stream) {
  return synchronize<N>(stream);
}

template <Name N>
cuda::Status waitEvent(cuda::Event event) {
  return synchronize<N>(event);
}

template <Name N>
cuda::Status waitContext() {
  return synchronize<N>();
}

template <Name N>
cuda::Status waitNamedContext(cuda::Context context) {
  return synchronize<N>(context);
}

// A pool made elsewhere is charged to whoever made it.
template <Name N>
cuda::Status memPoolImport(cuda::Pool* pool, void* handle, int type, unsigned long long flags) {
  const Entry entry;
  const cuda::Status status = call<N>(pool, handle, type, flags);
  if (entry.nested() || status != cuda::kSuccess) return status;
  mark(budget::kMarkPoolImport);
  const Guard guard(ledger().poolLock);
  addPool(*pool, 0, false);
  return status;
}

// CUDA 13: the pool of a location, which may be the host's.
template <Name N>
cuda::Status memGetPool(cuda::Pool* pool, cuda::Location* location, int type) {
  const Entry entry;
  const cuda::Status status = call<N>(pool, location, type);
  if (entry.nested() || status != cuda::kSuccess) return status;
  const bool onDevice = location->type == cuda::kLocationDevice;
  const bool managed = type == cuda::kAllocationManaged;
  const int card = onDevice ? cardOf(location->id) : currentCard();
  if (card < 0) return cuda::kInvalidDevice;
  if (managed) mark(budget::kMarkManaged);
  const Guard guard(ledger().poolLock);
  if (!findPool(*pool)) addPool(*pool, card, onDevice || managed);
  return status;
}

const Hook kHooks[] = {
    OKIBI_HOOK("cuMemAllocAsync", memAllocAsync, 11020),
    OKIBI_HOOK("cuMemAllocAsync_ptsz", memAllocAsyncPerThread, 11020),
    OKIBI_HOOK("cuMemAllocFromPoolAsync", memAllocFromPool, 11020),
    OKIBI_HOOK("cuMemAllocFromPoolAsync_ptsz", memAllocFromPoolPerThread, 11020),
    OKIBI_HOOK("cuMemFreeAsync", memFreeAsync, 11020),
    OKIBI_HOOK("cuMemFreeAsync_ptsz", memFreeAsync, 11020),
    OKIBI_HOOK("cuMemPoolCreate", memPoolCreate, 11020),
    OKIBI_HOOK("cuMemPoolDestroy", memPoolDestroy, 11020),
    OKIBI_HOOK("cuMemPoolTrimTo", memPoolTrimTo, 11020),
    OKIBI_HOOK("cuMemPoolImportFromShareableHandle", memPoolImport, 11020),
    OKIBI_HOOK("cuMemGetDefaultMemPool", memGetPool, 13000),
    OKIBI_HOOK("cuMemGetMemPool", memGetPool, 13000),
    OKIBI_HOOK("cuStreamSynchronize", waitStream, 2000),
    OKIBI_HOOK("cuStreamSynchronize_ptsz", waitStream, 7000),
    OKIBI_HOOK("cuEventSynchronize", waitEvent, 2000),
    OKIBI_HOOK("cuCtxSynchronize", waitContext, 2000),
    OKIBI_HOOK("cuCtxSynchronize_v2", waitNamedContext, 13000),
    OKIBI_WANTED("cuMemPoolGetAttribute"),
    OKIBI_WANTED("cuDeviceGetMemPool"),
    OKIBI_WANTED("cuStreamIsCapturing"),
    OKIBI_WANTED("cuStreamIsCapturing_ptsz"),
};

}  // namespace

void trueUpPools() {
  const Guard guard(ledger().poolLock);
  trueUpAll();
}

void trimPools() {
  const Guard guard(ledger().poolLock);
  trimAll();
}

bool forgetPooled(std::uint64_t pointer) {
  const Guard guard(ledger().poolLock);
  const Record was = take(Kind::Pooled, pointer);
  if (was.kind == Kind::None) return false;
  leavePool(was);
  return true;
}

HookList poolHooks() {
  return {kHooks, sizeof kHooks / sizeof *kHooks};
}

}  // namespace okibi::shim
