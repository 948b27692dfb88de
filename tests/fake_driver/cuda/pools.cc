// Stream-ordered memory. A pool grows by whole chunks, keeps freed memory, and gives empty chunks
// back when somebody has waited for the device and more than its threshold is reserved, as the real
// one does.

#include <algorithm>

#include "fake_driver/cuda/driver.h"

namespace okibi::fake {
namespace {

using cuda::DevicePtr;
using cuda::Status;

struct Chunk {
  std::uint64_t base, size;
  Heap heap;
};

struct PoolBody {
  int device = 0;
  bool onHost = false;
  bool destroyed = false;
  std::uint64_t threshold = 0, reserved = 0, used = 0;
  std::vector<Chunk> chunks;
};

std::vector<PoolBody*>& pools() {
  static std::vector<PoolBody*> all;
  return all;
}

PoolBody* body(cuda::Pool pool) {
  return reinterpret_cast<PoolBody*>(pool);
}

PoolBody* make(int device, bool onHost) {
  auto* pool = new PoolBody;
  pool->device = device;
  pool->onHost = onHost;
  pools().push_back(pool);
  return pool;
}

PoolBody*& current(int device) {
  static std::map<int, PoolBody*> all;
  PoolBody*& pool = all[device];
  if (!pool) pool = make(device, false);
  return pool;
}

void trim(PoolBody& pool, std::uint64_t keep) {
  std::erase_if(pool.chunks, [&](const Chunk& chunk) {
    if (!chunk.heap.empty() || pool.reserved <= keep) return false;
    pool.reserved -= chunk.size;
    if (pool.onHost)
      free(reinterpret_cast<void*>(chunk.base));
    else
      releaseFrom(chunk.base);
    return true;
  });
}

Status grow(PoolBody& pool, std::uint64_t bytes) {
  const std::uint64_t size =
      rounded(std::max(bytes, settings().poolChunkBytes), settings().poolChunkBytes);
  std::uint64_t base = 0;
  if (pool.onHost)
    base = reinterpret_cast<std::uint64_t>(aligned_alloc(4096, rounded(size, 4096)));
  else if (const Status refused = allocateOn(pool.device, size, &base))
    return refused;
  pool.chunks.push_back({base, size, Heap(base, size)});
  pool.reserved += size;
  return cuda::kSuccess;
}

Status take(PoolBody& pool, std::uint64_t bytes, std::uint64_t* out) {
  const std::uint64_t size = rounded(bytes);
  for (int attempt = 0; attempt < 2; ++attempt) {
    for (Chunk& chunk : pool.chunks) {
      *out = chunk.heap.take(size);
      if (!*out) continue;
      pool.used += size;
      return cuda::kSuccess;
    }
    if (const Status refused = grow(pool, size)) return refused;
  }
  return cuda::kOutOfMemory;
}

bool give(PoolBody& pool, std::uint64_t address) {
  for (Chunk& chunk : pool.chunks) {
    const std::uint64_t size = chunk.heap.give(address);
    if (!size) continue;
    pool.used -= size;
    if (pool.destroyed) trim(pool, 0);
    return true;
  }
  return false;
}

Status allocate(DevicePtr* out, std::size_t bytes, cuda::Pool pool, cuda::Stream stream) {
  Context* context = nullptr;
  if (const Status refused = enterContext(&context)) return refused;
  if (!out || !bytes) return cuda::kInvalidValue;
  const std::lock_guard guard(driverMutex());
  if (const auto capture = captureOf(stream))
    return captureAllocation(*capture, bytes, context->device, out);
  return take(pool ? *body(pool) : *current(context->device), bytes, out);
}

Status release(DevicePtr pointer, cuda::Stream stream) {
  if (const Status refused = enter()) return refused;
  const std::lock_guard guard(driverMutex());
  if (const auto capture = captureOf(stream)) {
    captureFree(*capture, pointer);
    return cuda::kSuccess;
  }
  return poolFree(pointer) || releaseFrom(pointer) ? cuda::kSuccess : cuda::kInvalidValue;
}

}  // namespace

bool poolFree(std::uint64_t address) {
  return std::ranges::any_of(pools(), [&](PoolBody* pool) { return give(*pool, address); });
}

void releasePools() {
  for (PoolBody* pool : pools()) trim(*pool, pool->threshold);
}

OKIBI_FAKE cuMemAllocAsync(DevicePtr* out, std::size_t bytes, cuda::Stream stream) {
  noteVariant("cuMemAllocAsync");
  return allocate(out, bytes, nullptr, stream);
}
OKIBI_FAKE cuMemAllocAsync_ptsz(DevicePtr* out, std::size_t bytes, cuda::Stream stream) {
  noteVariant("cuMemAllocAsync_ptsz");
  return allocate(out, bytes, nullptr, stream);
}
OKIBI_FAKE cuMemAllocFromPoolAsync(DevicePtr* out, std::size_t bytes, cuda::Pool pool,
                                   cuda::Stream stream) {
  noteVariant("cuMemAllocFromPoolAsync");
  return allocate(out, bytes, pool, stream);
}
OKIBI_FAKE cuMemAllocFromPoolAsync_ptsz(DevicePtr* out, std::size_t bytes, cuda::Pool pool,
                                        cuda::Stream stream) {
  noteVariant("cuMemAllocFromPoolAsync_ptsz");
  return allocate(out, bytes, pool, stream);
}
OKIBI_FAKE cuMemFreeAsync(DevicePtr pointer, cuda::Stream stream) {
  noteVariant("cuMemFreeAsync");
  return release(pointer, stream);
}
OKIBI_FAKE cuMemFreeAsync_ptsz(DevicePtr pointer, cuda::Stream stream) {
  noteVariant("cuMemFreeAsync_ptsz");
  return release(pointer, stream);
}

OKIBI_FAKE cuMemPoolCreate(cuda::Pool* out, const cuda::PoolProps* props) {
  if (const Status refused = enter()) return refused;
  const std::lock_guard guard(driverMutex());
  *out = reinterpret_cast<cuda::Pool>(
      make(props->location.id, props->location.type != cuda::kLocationDevice));
  return cuda::kSuccess;
}

OKIBI_FAKE cuMemPoolDestroy(cuda::Pool pool) {
  const std::lock_guard guard(driverMutex());
  body(pool)->destroyed = true;
  trim(*body(pool), 0);
  return cuda::kSuccess;
}

OKIBI_FAKE cuMemPoolTrimTo(cuda::Pool pool, std::size_t keep) {
  const std::lock_guard guard(driverMutex());
  trim(*body(pool), keep);
  return cuda::kSuccess;
}

OKIBI_FAKE cuMemPoolGetAttribute(cuda::Pool pool, int attribute, void* value) {
  const std::lock_guard guard(driverMutex());
  const PoolBody& of = *body(pool);
  auto& out = *static_cast<std::uint64_t*>(value);
  if (attribute == cuda::kPoolReleaseThreshold)
    out = of.threshold;
  else if (attribute == cuda::kPoolReserved)
    out = of.reserved;
  else if (attribute == cuda::kPoolUsed)
    out = of.used;
  else
    return cuda::kInvalidValue;
  return cuda::kSuccess;
}

OKIBI_FAKE cuMemPoolSetAttribute(cuda::Pool pool, int attribute, void* value) {
  if (attribute != cuda::kPoolReleaseThreshold) return cuda::kSuccess;
  body(pool)->threshold = *static_cast<std::uint64_t*>(value);
  return cuda::kSuccess;
}

OKIBI_FAKE cuDeviceGetMemPool(cuda::Pool* out, int device) {
  const std::lock_guard guard(driverMutex());
  *out = reinterpret_cast<cuda::Pool>(current(device));
  return cuda::kSuccess;
}
OKIBI_FAKE cuDeviceGetDefaultMemPool(cuda::Pool* out, int device) {
  return cuDeviceGetMemPool(out, device);
}
OKIBI_FAKE cuDeviceSetMemPool(int device, cuda::Pool pool) {
  const std::lock_guard guard(driverMutex());
  current(device) = body(pool);
  return cuda::kSuccess;
}

OKIBI_FAKE cuMemPoolImportFromShareableHandle(cuda::Pool* out, void*, int, unsigned long long) {
  const std::lock_guard guard(driverMutex());
  *out = reinterpret_cast<cuda::Pool>(make(0, true));
  return cuda::kSuccess;
}

OKIBI_FAKE cuMemPoolImportPointer(DevicePtr* out, cuda::Pool, void* data) {
  *out = *static_cast<DevicePtr*>(data);
  return cuda::kSuccess;
}

}  // namespace okibi::fake
