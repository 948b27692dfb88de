// Devices, contexts, plain memory, copies, streams, events.

#include <algorithm>
#include <cstring>
#include <set>

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake_driver/cuda/driver.h"

namespace okibi::fake {
namespace {

using cuda::DevicePtr;
using cuda::Status;

bool initialized = false;
bool uselessChild = false;
const char* lastVariant = "";

// A pointer in the static block: a library opened by a static program has no other thread-local
// storage.
__thread std::vector<Context*>* ownStack __attribute__((tls_model("initial-exec"))) = nullptr;

std::vector<Context*>& stack() {
  if (!ownStack) ownStack = new std::vector<Context*>;
  return *ownStack;
}

struct Memory {
  int fd = -1;
  std::uint64_t base = 0;
  std::vector<Heap> heaps;  // per card
};

// All cards' memory is one sparse memfd, mapped once.
Memory& memory() {
  static Memory all = [] {
    Memory m;
    const std::uint64_t each = settings().memoryBytes;
    const std::uint64_t bytes = each * static_cast<std::uint64_t>(settings().cards);
    m.fd = memfd_create("okibi-fake-vram", MFD_CLOEXEC);
    if (m.fd < 0 || ftruncate(m.fd, static_cast<off_t>(bytes)) != 0) abort();
    void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, m.fd, 0);
    if (at == MAP_FAILED) abort();
    m.base = reinterpret_cast<std::uint64_t>(at);
    for (int card = 0; card < settings().cards; ++card)
      m.heaps.emplace_back(m.base + each * static_cast<std::uint64_t>(card), each);
    return m;
  }();
  return all;
}

std::map<int, Context*>& primaries() {
  static std::map<int, Context*> all;
  return all;
}

std::map<int, int>& retains() {
  static std::map<int, int> all;
  return all;
}

void onFork() {
  if (!initialized) return forgetOwnProcess();
  if (!settings().forkWorks) uselessChild = true;
  initialized = false;
  stack().clear();
  primaries().clear();
  retains().clear();
  forgetOwnProcess();
}

bool validDevice(int device) {
  return device >= 0 && device < settings().cards;
}

Status makeContext(int device, Context** out) {
  if (!validDevice(device)) return cuda::kInvalidDevice;
  if (!takeMemory(device, settings().contextBytes)) return cuda::kOutOfMemory;
  *out = new Context{.device = device, .streamBusyUntilNs = 0, .pointers = {}};
  return cuda::kSuccess;
}

void endContext(Context* context) {
  for (const std::uint64_t pointer : context->pointers) releaseFrom(pointer);
  returnMemory(context->device, settings().contextBytes);
  std::erase(stack(), context);
  delete context;
}

Status createContext(cuda::Context* out, int device) {
  if (const Status refused = enter()) return refused;
  const std::lock_guard guard(driverMutex());
  Context* made = nullptr;
  if (const Status refused = makeContext(device, &made)) return refused;
  stack().push_back(made);
  *out = reinterpret_cast<cuda::Context>(made);
  return cuda::kSuccess;
}

Status allocatePointer(DevicePtr* out, std::uint64_t bytes) {
  Context* context = nullptr;
  if (const Status refused = enterContext(&context)) return refused;
  if (!out || !bytes) return cuda::kInvalidValue;
  const std::lock_guard guard(driverMutex());
  if (const Status refused = allocateOn(context->device, bytes, out)) return refused;
  context->pointers.push_back(*out);
  return cuda::kSuccess;
}

Status freePointer(DevicePtr pointer) {
  Context* context = nullptr;
  if (const Status refused = enterContext(&context)) return refused;
  if (!pointer) return cuda::kSuccess;
  const std::lock_guard guard(driverMutex());
  if (poolFree(pointer)) return cuda::kSuccess;
  const auto last = std::find(context->pointers.rbegin(), context->pointers.rend(), pointer);
  if (last != context->pointers.rend()) context->pointers.erase(std::next(last).base());
  return releaseFrom(pointer) ? cuda::kSuccess : cuda::kInvalidValue;
}

Status copy(void* to, const void* from, std::size_t bytes) {
  Context* context = nullptr;
  if (const Status refused = enterContext(&context)) return refused;
  waitUntil(context->streamBusyUntilNs);
  std::memcpy(to, from, bytes);
  return cuda::kSuccess;
}

Status copyAsync(void* to, const void* from, std::size_t bytes, cuda::Stream stream) {
  if (const Status refused = enter()) return refused;
  if (const auto capture = captureOf(stream)) {
    auto node = std::make_shared<Node>();
    node->type = 1;
    node->run = [=](std::int64_t*, int) { std::memcpy(to, from, bytes); };
    capture->nodes.push_back(node);
    return cuda::kSuccess;
  }
  waitUntil(busyUntilOf(stream));
  std::memcpy(to, from, bytes);
  return cuda::kSuccess;
}

template <class T>
T* at(DevicePtr pointer) {
  return reinterpret_cast<T*>(pointer);
}

Status waitFor(std::int64_t until) {
  if (const Status refused = enter()) return refused;
  waitUntil(until);
  const std::lock_guard guard(driverMutex());
  releasePools();
  return cuda::kSuccess;
}

struct EventBody {
  std::int64_t whenNs = 0;
};

}  // namespace

std::uint64_t Heap::take(std::uint64_t size) {
  for (auto it = free_.begin(); it != free_.end(); ++it) {
    if (it->second < size) continue;
    const std::uint64_t address = it->first, left = it->second - size;
    free_.erase(it);
    if (left) free_[address + size] = left;
    taken_[address] = size;
    return address;
  }
  return 0;
}

std::uint64_t Heap::give(std::uint64_t address) {
  const auto found = taken_.find(address);
  if (found == taken_.end()) return 0;
  const std::uint64_t size = found->second;
  taken_.erase(found);
  auto it = free_.emplace(address, size).first;
  if (const auto next = std::next(it);
      next != free_.end() && it->first + it->second == next->first) {
    it->second += next->second;
    free_.erase(next);
  }
  if (it != free_.begin()) {
    const auto before = std::prev(it);
    if (before->first + before->second == it->first) {
      before->second += it->second;
      free_.erase(it);
    }
  }
  return size;
}

std::uint64_t Heap::sizeAt(std::uint64_t address) const {
  const auto found = taken_.find(address);
  return found == taken_.end() ? 0 : found->second;
}

std::pair<std::uint64_t, std::uint64_t> Heap::rangeOf(std::uint64_t address) const {
  auto after = taken_.upper_bound(address);
  if (after == taken_.begin()) return {0, 0};
  --after;
  if (address >= after->first + after->second) return {0, 0};
  return {after->first, after->second};
}

std::recursive_mutex& driverMutex() {
  static std::recursive_mutex mutex;
  return mutex;
}

void noteVariant(const char* name) {
  lastVariant = name;
}

Status enter() {
  if (!initialized) return cuda::kNotInitialized;
  waitWhileStopped();
  return cuda::kSuccess;
}

Context* currentContextOrNull() {
  return stack().empty() ? nullptr : stack().back();
}

Status enterContext(Context** context) {
  if (const Status refused = enter()) return refused;
  *context = currentContextOrNull();
  return *context ? cuda::kSuccess : cuda::kInvalidContext;
}

Status allocateOn(int device, std::uint64_t bytes, std::uint64_t* address) {
  const std::uint64_t size = rounded(bytes);
  if (size < bytes || !takeMemory(device, size)) return cuda::kOutOfMemory;
  *address = memory().heaps[static_cast<std::size_t>(device)].take(size);
  if (*address) return cuda::kSuccess;
  returnMemory(device, size);
  return cuda::kOutOfMemory;
}

bool releaseFrom(std::uint64_t address) {
  for (int device = 0; device < settings().cards; ++device) {
    const std::uint64_t size = memory().heaps[static_cast<std::size_t>(device)].give(address);
    if (!size) continue;
    returnMemory(device, size);
    return true;
  }
  return false;
}

std::pair<std::uint64_t, std::uint64_t> rangeAt(std::uint64_t address) {
  const int device = deviceAt(address);
  if (device < 0) return {0, 0};
  return memory().heaps[static_cast<std::size_t>(device)].rangeOf(address);
}

int deviceAt(std::uint64_t address) {
  const std::uint64_t each = settings().memoryBytes;
  if (address < memory().base ||
      address - memory().base >= each * static_cast<std::uint64_t>(settings().cards))
    return -1;
  return static_cast<int>((address - memory().base) / each);
}

std::uint64_t memoryBase() {
  return memory().base;
}

int memoryFd() {
  return memory().fd;
}

void waitUntil(std::int64_t ns) {
  for (std::int64_t left = ns - nowNs(); left > 0; left = ns - nowNs())
    usleep(static_cast<useconds_t>(std::min<std::int64_t>(left / 1000 + 1, 100'000)));
}

// 0, 1 and 2 are the default streams.
std::int64_t& busyUntilOf(cuda::Stream stream) {
  static std::int64_t nobody = 0;
  if (reinterpret_cast<std::uintptr_t>(stream) > 2)
    return reinterpret_cast<Stream*>(stream)->busyUntilNs;
  Context* context = currentContextOrNull();
  return context ? context->streamBusyUntilNs : nobody;
}

std::shared_ptr<GraphBody> captureOf(cuda::Stream stream) {
  if (reinterpret_cast<std::uintptr_t>(stream) <= 2) return nullptr;
  return reinterpret_cast<Stream*>(stream)->capture;
}

OKIBI_FAKE cuInit(unsigned flags) {
  static const int registered = pthread_atfork(nullptr, nullptr, onFork);
  if (registered != 0 || uselessChild) return cuda::kNotInitialized;
  if (flags) return cuda::kInvalidValue;
  ownProcess();
  initialized = true;
  return cuda::kSuccess;
}

OKIBI_FAKE cuDriverGetVersion(int* version) {
  *version = 13000;
  return cuda::kSuccess;
}

OKIBI_FAKE cuGetErrorName(int error, const char** text) {
  const std::map<int, const char*> names = {{0, "CUDA_SUCCESS"},
                                            {1, "CUDA_ERROR_INVALID_VALUE"},
                                            {2, "CUDA_ERROR_OUT_OF_MEMORY"},
                                            {3, "CUDA_ERROR_NOT_INITIALIZED"},
                                            {201, "CUDA_ERROR_INVALID_CONTEXT"},
                                            {304, "CUDA_ERROR_OPERATING_SYSTEM"},
                                            {401, "CUDA_ERROR_ILLEGAL_STATE"},
                                            {500, "CUDA_ERROR_NOT_FOUND"},
                                            {600, "CUDA_ERROR_NOT_READY"},
                                            {801, "CUDA_ERROR_NOT_SUPPORTED"}};
  const auto found = names.find(error);
  *text = found == names.end() ? "CUDA_ERROR_UNKNOWN" : found->second;
  return cuda::kSuccess;
}

OKIBI_FAKE cuGetErrorString(int error, const char** text) {
  return cuGetErrorName(error, text);
}

OKIBI_FAKE cuDeviceGetCount(int* count) {
  if (const Status refused = enter()) return refused;
  *count = settings().cards;
  return cuda::kSuccess;
}

OKIBI_FAKE cuDeviceGet(int* device, int ordinal) {
  if (const Status refused = enter()) return refused;
  *device = ordinal;
  return validDevice(ordinal) ? cuda::kSuccess : cuda::kInvalidDevice;
}

OKIBI_FAKE cuDeviceGetName(char* name, int length, int device) {
  snprintf(name, static_cast<std::size_t>(length), "Okibi fake card");
  return validDevice(device) ? cuda::kSuccess : cuda::kInvalidDevice;
}

OKIBI_FAKE cuDeviceGetUuid_v2(cuda::Uuid* uuid, int device) {
  if (!validDevice(device)) return cuda::kInvalidDevice;
  *uuid = {};
  uuid->bytes[0] = 0xfa;
  uuid->bytes[15] = static_cast<unsigned char>(device + 1);
  return cuda::kSuccess;
}

OKIBI_FAKE cuDeviceGetUuid(cuda::Uuid* uuid, int device) {
  return cuDeviceGetUuid_v2(uuid, device);
}

OKIBI_FAKE cuDeviceTotalMem_v2(std::size_t* bytes, int device) {
  if (!validDevice(device)) return cuda::kInvalidDevice;
  *bytes = settings().memoryBytes;
  return cuda::kSuccess;
}

OKIBI_FAKE cuDeviceTotalMem(unsigned* bytes, int device) {
  if (!validDevice(device)) return cuda::kInvalidDevice;
  *bytes = static_cast<unsigned>(std::min<std::uint64_t>(settings().memoryBytes, ~0u));
  return cuda::kSuccess;
}

OKIBI_FAKE cuDeviceGetAttribute(int* value, int attribute, int device) {
  if (!validDevice(device)) return cuda::kInvalidDevice;
  const std::map<int, int> known = {{1, 1024}, {16, 132}, {75, 9}, {76, 0}, {102, 1}, {115, 1}};
  const auto found = known.find(attribute);
  *value = found == known.end() ? 0 : found->second;
  return cuda::kSuccess;
}

OKIBI_FAKE cuCtxCreate(cuda::Context* out, unsigned, int device) {
  return createContext(out, device);
}
OKIBI_FAKE cuCtxCreate_v2(cuda::Context* out, unsigned, int device) {
  return createContext(out, device);
}
OKIBI_FAKE cuCtxCreate_v3(cuda::Context* out, void*, int, unsigned, int device) {
  return createContext(out, device);
}
OKIBI_FAKE cuCtxCreate_v4(cuda::Context* out, void*, unsigned, int device) {
  return createContext(out, device);
}

OKIBI_FAKE cuCtxDestroy_v2(cuda::Context context) {
  if (const Status refused = enter()) return refused;
  const std::lock_guard guard(driverMutex());
  endContext(reinterpret_cast<Context*>(context));
  return cuda::kSuccess;
}
OKIBI_FAKE cuCtxDestroy(cuda::Context context) {
  return cuCtxDestroy_v2(context);
}

OKIBI_FAKE cuCtxSetCurrent(cuda::Context context) {
  if (const Status refused = enter()) return refused;
  if (!stack().empty()) stack().pop_back();
  if (context) stack().push_back(reinterpret_cast<Context*>(context));
  return cuda::kSuccess;
}

OKIBI_FAKE cuCtxGetCurrent(cuda::Context* out) {
  if (const Status refused = enter()) return refused;
  *out = reinterpret_cast<cuda::Context>(currentContextOrNull());
  return cuda::kSuccess;
}

OKIBI_FAKE cuCtxPushCurrent_v2(cuda::Context context) {
  if (const Status refused = enter()) return refused;
  stack().push_back(reinterpret_cast<Context*>(context));
  return cuda::kSuccess;
}

OKIBI_FAKE cuCtxPopCurrent_v2(cuda::Context* out) {
  if (const Status refused = enter()) return refused;
  if (stack().empty()) return cuda::kInvalidContext;
  if (out) *out = reinterpret_cast<cuda::Context>(stack().back());
  stack().pop_back();
  return cuda::kSuccess;
}

OKIBI_FAKE cuCtxGetDevice(int* device) {
  Context* context = nullptr;
  if (const Status refused = enterContext(&context)) return refused;
  *device = context->device;
  return cuda::kSuccess;
}

OKIBI_FAKE cuDevicePrimaryCtxRetain(cuda::Context* out, int device) {
  if (const Status refused = enter()) return refused;
  const std::lock_guard guard(driverMutex());
  Context*& primary = primaries()[device];
  if (!primary) {
    if (const Status refused = makeContext(device, &primary)) return refused;
  }
  ++retains()[device];
  *out = reinterpret_cast<cuda::Context>(primary);
  return cuda::kSuccess;
}

OKIBI_FAKE cuDevicePrimaryCtxRelease_v2(int device) {
  if (const Status refused = enter()) return refused;
  const std::lock_guard guard(driverMutex());
  if (retains()[device] == 0) return cuda::kInvalidContext;
  if (--retains()[device] == 0) {
    endContext(primaries()[device]);
    primaries()[device] = nullptr;
  }
  return cuda::kSuccess;
}
OKIBI_FAKE cuDevicePrimaryCtxRelease(int device) {
  return cuDevicePrimaryCtxRelease_v2(device);
}

OKIBI_FAKE cuDevicePrimaryCtxReset_v2(int device) {
  if (const Status refused = enter()) return refused;
  const std::lock_guard guard(driverMutex());
  Context* primary = primaries()[device];
  if (!primary) return cuda::kSuccess;
  for (const std::uint64_t pointer : primary->pointers) releaseFrom(pointer);
  primary->pointers.clear();
  return cuda::kSuccess;
}
OKIBI_FAKE cuDevicePrimaryCtxReset(int device) {
  return cuDevicePrimaryCtxReset_v2(device);
}

OKIBI_FAKE cuMemAlloc_v2(DevicePtr* out, std::size_t bytes) {
  noteVariant("cuMemAlloc_v2");
  return allocatePointer(out, bytes);
}

// Addresses do not fit in 32 bits; the first generation only ever answers that it has none.
OKIBI_FAKE cuMemAlloc(unsigned*, unsigned) {
  return cuda::kOutOfMemory;
}
OKIBI_FAKE cuMemFree(unsigned) {
  return cuda::kInvalidValue;
}
OKIBI_FAKE cuMemGetInfo(unsigned* free, unsigned* total) {
  *free = *total = ~0u;
  return cuda::kSuccess;
}

OKIBI_FAKE cuMemFree_v2(DevicePtr pointer) {
  return freePointer(pointer);
}

OKIBI_FAKE cuMemAllocPitch_v2(DevicePtr* out, std::size_t* pitch, std::size_t width,
                              std::size_t height, unsigned) {
  *pitch = rounded(width, 256);
  return allocatePointer(out, *pitch * height);
}

OKIBI_FAKE cuMemAllocManaged(DevicePtr* out, std::size_t bytes, unsigned) {
  const Status status = allocatePointer(out, bytes);
  if (status == cuda::kSuccess) ownProcess().managed = 1;
  return status;
}

OKIBI_FAKE cuMemGetInfo_v2(std::size_t* free, std::size_t* total) {
  Context* context = nullptr;
  if (const Status refused = enterContext(&context)) return refused;
  const MachineLock lock;
  *total = settings().memoryBytes;
  *free = *total - machine().used[context->device];
  return cuda::kSuccess;
}

OKIBI_FAKE cuMemGetAddressRange_v2(DevicePtr* base, std::size_t* size, DevicePtr pointer) {
  const std::lock_guard guard(driverMutex());
  const auto range = rangeAt(pointer);
  if (!range.first) return cuda::kInvalidValue;
  if (base) *base = range.first;
  if (size) *size = range.second;
  return cuda::kSuccess;
}

OKIBI_FAKE cuPointerGetAttribute(void* value, int attribute, DevicePtr pointer) {
  const int device = deviceAt(pointer);
  if (device < 0) return cuda::kInvalidValue;
  if (attribute != 9) return cuda::kNotSupported;
  *static_cast<int*>(value) = device;
  return cuda::kSuccess;
}

OKIBI_FAKE cuMemHostAlloc(void** out, std::size_t bytes, unsigned) {
  if (const Status refused = enter()) return refused;
  *out = aligned_alloc(4096, rounded(bytes, 4096));
  return *out ? cuda::kSuccess : cuda::kOutOfMemory;
}
OKIBI_FAKE cuMemAllocHost_v2(void** out, std::size_t bytes) {
  return cuMemHostAlloc(out, bytes, 0);
}
OKIBI_FAKE cuMemFreeHost(void* pointer) {
  free(pointer);
  return cuda::kSuccess;
}
OKIBI_FAKE cuMemHostRegister_v2(void*, std::size_t, unsigned) {
  return enter();
}
OKIBI_FAKE cuMemHostUnregister(void*) {
  return enter();
}

OKIBI_FAKE cuMemcpyHtoD_v2(DevicePtr to, const void* from, std::size_t bytes) {
  return copy(at<void>(to), from, bytes);
}
OKIBI_FAKE cuMemcpyDtoH_v2(void* to, DevicePtr from, std::size_t bytes) {
  return copy(to, at<void>(from), bytes);
}
OKIBI_FAKE cuMemcpyDtoD_v2(DevicePtr to, DevicePtr from, std::size_t bytes) {
  return copy(at<void>(to), at<void>(from), bytes);
}
OKIBI_FAKE cuMemcpyHtoDAsync_v2(DevicePtr to, const void* from, std::size_t bytes,
                                cuda::Stream stream) {
  return copyAsync(at<void>(to), from, bytes, stream);
}
OKIBI_FAKE cuMemcpyDtoHAsync_v2(void* to, DevicePtr from, std::size_t bytes, cuda::Stream stream) {
  return copyAsync(to, at<void>(from), bytes, stream);
}
OKIBI_FAKE cuMemsetD8_v2(DevicePtr to, unsigned char value, std::size_t count) {
  if (const Status refused = enter()) return refused;
  std::memset(at<void>(to), value, count);
  return cuda::kSuccess;
}
OKIBI_FAKE cuMemsetD32_v2(DevicePtr to, unsigned value, std::size_t count) {
  if (const Status refused = enter()) return refused;
  std::fill_n(at<unsigned>(to), count, value);
  return cuda::kSuccess;
}

OKIBI_FAKE cuStreamCreate(cuda::Stream* out, unsigned) {
  if (const Status refused = enter()) return refused;
  *out = reinterpret_cast<cuda::Stream>(new Stream);
  return cuda::kSuccess;
}
OKIBI_FAKE cuStreamDestroy_v2(cuda::Stream stream) {
  delete reinterpret_cast<Stream*>(stream);
  return cuda::kSuccess;
}
OKIBI_FAKE cuStreamSynchronize(cuda::Stream stream) {
  noteVariant("cuStreamSynchronize");
  return waitFor(busyUntilOf(stream));
}
OKIBI_FAKE cuStreamSynchronize_ptsz(cuda::Stream stream) {
  noteVariant("cuStreamSynchronize_ptsz");
  return waitFor(busyUntilOf(stream));
}
OKIBI_FAKE cuStreamQuery(cuda::Stream stream) {
  return busyUntilOf(stream) > nowNs() ? cuda::kNotReady : cuda::kSuccess;
}
OKIBI_FAKE cuCtxSynchronize() {
  return waitFor(initialized ? ownProcess().busyUntilNs : 0);
}
OKIBI_FAKE cuCtxSynchronize_v2(cuda::Context) {
  return cuCtxSynchronize();
}

OKIBI_FAKE cuEventCreate(cuda::Event* out, unsigned) {
  *out = reinterpret_cast<cuda::Event>(new EventBody);
  return cuda::kSuccess;
}
OKIBI_FAKE cuEventDestroy_v2(cuda::Event event) {
  delete reinterpret_cast<EventBody*>(event);
  return cuda::kSuccess;
}
OKIBI_FAKE cuEventRecord(cuda::Event event, cuda::Stream stream) {
  reinterpret_cast<EventBody*>(event)->whenNs = std::max(nowNs(), busyUntilOf(stream));
  return cuda::kSuccess;
}
OKIBI_FAKE cuEventSynchronize(cuda::Event event) {
  return waitFor(reinterpret_cast<EventBody*>(event)->whenNs);
}
OKIBI_FAKE cuEventElapsedTime(float* ms, cuda::Event from, cuda::Event to) {
  *ms = static_cast<float>(reinterpret_cast<EventBody*>(to)->whenNs -
                           reinterpret_cast<EventBody*>(from)->whenNs) /
        1e6f;
  return cuda::kSuccess;
}

OKIBI_FAKE cuStreamWaitEvent(cuda::Stream stream, cuda::Event event, unsigned) {
  std::int64_t& busy = busyUntilOf(stream);
  busy = std::max(busy, reinterpret_cast<EventBody*>(event)->whenNs);
  return cuda::kSuccess;
}

// Not of CUDA: a function no shim has heard of, with arguments in registers of both kinds and on
// the stack().
OKIBI_FAKE cuOkibiFutureCall(int a, double b, long c, long d, long e, long f, long g, long h,
                             double i) {
  return static_cast<int>(a + b + static_cast<double>(c + d + e + f + g + h) + i);
}

// Not of CUDA: which variant of a function was entered last.
extern "C" __attribute__((visibility("default"))) const char* cuOkibiLastVariant() {
  return lastVariant;
}

}  // namespace okibi::fake
