// Virtual memory management on memfd, with what the real one does to who touches unmapped memory: a
// fault. Also arrays, sharing between processes, and objects that are only handles here.

#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake_driver/cuda/driver.h"

namespace okibi::fake {
namespace {

using cuda::DevicePtr;
using cuda::Status;

constexpr std::uint64_t kGranularity = 2 << 20;

struct Physical {
  int fd = -1;
  int device = 0;  // -1: of the host, or another process's
  std::uint64_t bytes = 0;
  unsigned references = 1;  // handles and mappings
  cuda::AllocationProp prop{};
};

struct Mapping {
  std::uint64_t bytes;
  Physical* physical;
};

std::map<std::uint64_t, Mapping>& mappings() {
  static std::map<std::uint64_t, Mapping> all;
  return all;
}

Physical* physical(cuda::MemHandle handle) {
  return reinterpret_cast<Physical*>(handle);
}

void drop(Physical* of) {
  if (--of->references) return;
  close(of->fd);
  if (of->device >= 0) returnMemory(of->device, of->bytes);
  delete of;
}

void* at(DevicePtr pointer) {
  return reinterpret_cast<void*>(pointer);
}

struct ArrayBody {
  std::uint64_t address = 0;  // 0: nothing of its own
  std::vector<cuda::Array> levels;
};

std::uint64_t atLeastOne(std::uint64_t n) {
  return n ? n : 1;
}

std::uint64_t bytesOf(const cuda::Array3dDescriptor& d, unsigned level) {
  const bool byte = d.format == 0x01 || d.format == 0x08;
  const bool half = d.format == 0x02 || d.format == 0x09 || d.format == 0x10;
  const std::uint64_t channel = byte ? 1 : half ? 2 : 4;
  return atLeastOne(d.width >> level) * atLeastOne(d.height >> level) *
         atLeastOne(d.depth >> level) * d.channels * channel;
}

Status makeArray(ArrayBody** out, std::uint64_t bytes, unsigned flags) {
  Context* context = nullptr;
  if (const Status refused = enterContext(&context)) return refused;
  const std::lock_guard guard(driverMutex());
  std::uint64_t address = 0;
  if (!(flags & (cuda::kArraySparse | cuda::kArrayDeferredMapping))) {
    if (const Status refused = allocateOn(context->device, bytes, &address)) return refused;
  }
  *out = new ArrayBody{.address = address, .levels = {}};
  return cuda::kSuccess;
}

Status endArray(ArrayBody* array) {
  const std::lock_guard guard(driverMutex());
  if (array->address) releaseFrom(array->address);
  for (cuda::Array level : array->levels) delete reinterpret_cast<ArrayBody*>(level);
  delete array;
  return cuda::kSuccess;
}

struct IpcName {
  std::uint64_t magic;
  std::int32_t pid, fd;
  std::uint64_t offset, bytes;
};
static_assert(sizeof(IpcName) <= sizeof(cuda::IpcHandle));
constexpr std::uint64_t kIpcMagic = 0x4349504953414b46;
constexpr std::uint64_t kPage = 4096;

// Imports: address, bytes mapped.
std::map<std::uint64_t, std::uint64_t>& opened() {
  static std::map<std::uint64_t, std::uint64_t> all;
  return all;
}

}  // namespace

OKIBI_FAKE cuMemGetAllocationGranularity(std::size_t* out, const cuda::AllocationProp*, int) {
  *out = kGranularity;
  return cuda::kSuccess;
}

OKIBI_FAKE cuMemAddressReserve(DevicePtr* out, std::size_t bytes, std::size_t, DevicePtr wish,
                               unsigned long long) {
  if (const Status refused = enter()) return refused;
  if (bytes % kGranularity) return cuda::kInvalidValue;
  void* got = mmap(at(wish), bytes + kGranularity, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (got == MAP_FAILED) return cuda::kOutOfMemory;
  const auto base = reinterpret_cast<std::uint64_t>(got), aligned = rounded(base, kGranularity);
  if (aligned > base) munmap(got, aligned - base);
  if (base + kGranularity > aligned) munmap(at(aligned + bytes), base + kGranularity - aligned);
  *out = aligned;
  return cuda::kSuccess;
}

OKIBI_FAKE cuMemAddressFree(DevicePtr pointer, std::size_t bytes) {
  munmap(at(pointer), bytes);
  return cuda::kSuccess;
}

OKIBI_FAKE cuMemCreate(cuda::MemHandle* out, std::size_t bytes, const cuda::AllocationProp* prop,
                       unsigned long long) {
  if (const Status refused = enter()) return refused;
  if (!bytes || bytes % kGranularity) return cuda::kInvalidValue;
  const std::lock_guard guard(driverMutex());
  const int device = prop->location.type == cuda::kLocationDevice ? prop->location.id : -1;
  if (device >= settings().cards) return cuda::kInvalidDevice;
  if (device >= 0 && !takeMemory(device, bytes)) return cuda::kOutOfMemory;
  const int fd = memfd_create("okibi-fake-memory", MFD_CLOEXEC);
  if (fd < 0 || ftruncate(fd, static_cast<off_t>(bytes)) != 0) return cuda::kOutOfMemory;
  *out = reinterpret_cast<cuda::MemHandle>(
      new Physical{.fd = fd, .device = device, .bytes = bytes, .references = 1, .prop = *prop});
  return cuda::kSuccess;
}

OKIBI_FAKE cuMemRelease(cuda::MemHandle handle) {
  if (const Status refused = enter()) return refused;
  const std::lock_guard guard(driverMutex());
  drop(physical(handle));
  return cuda::kSuccess;
}

OKIBI_FAKE cuMemMap(DevicePtr pointer, std::size_t bytes, std::size_t offset,
                    cuda::MemHandle handle, unsigned long long) {
  if (const Status refused = enter()) return refused;
  const std::lock_guard guard(driverMutex());
  Physical* of = physical(handle);
  if (offset + bytes > of->bytes) return cuda::kInvalidValue;
  if (mmap(at(pointer), bytes, PROT_NONE, MAP_SHARED | MAP_FIXED, of->fd,
           static_cast<off_t>(offset)) == MAP_FAILED)
    return cuda::kInvalidValue;
  ++of->references;
  mappings()[pointer] = {bytes, of};
  return cuda::kSuccess;
}

OKIBI_FAKE cuMemSetAccess(DevicePtr pointer, std::size_t bytes, const cuda::AccessDesc* desc,
                          std::size_t) {
  const int protection = desc->flags == 3   ? PROT_READ | PROT_WRITE
                         : desc->flags == 1 ? PROT_READ
                                            : PROT_NONE;
  return mprotect(at(pointer), bytes, protection) == 0 ? cuda::kSuccess : cuda::kInvalidValue;
}

OKIBI_FAKE cuMemUnmap(DevicePtr pointer, std::size_t bytes) {
  if (const Status refused = enter()) return refused;
  const std::lock_guard guard(driverMutex());
  for (std::uint64_t address = pointer; address < pointer + bytes;) {
    const auto found = mappings().find(address);
    if (found == mappings().end()) return cuda::kInvalidValue;
    const Mapping mapping = found->second;
    mappings().erase(found);
    mmap(at(address), mapping.bytes, PROT_NONE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
    drop(mapping.physical);
    address += mapping.bytes;
  }
  return cuda::kSuccess;
}

OKIBI_FAKE cuMemRetainAllocationHandle(cuda::MemHandle* out, void* address) {
  const std::lock_guard guard(driverMutex());
  auto found = mappings().upper_bound(reinterpret_cast<std::uint64_t>(address));
  if (found == mappings().begin()) return cuda::kInvalidValue;
  --found;
  ++found->second.physical->references;
  *out = reinterpret_cast<cuda::MemHandle>(found->second.physical);
  return cuda::kSuccess;
}

OKIBI_FAKE cuMemGetAllocationPropertiesFromHandle(cuda::AllocationProp* prop,
                                                  cuda::MemHandle handle) {
  *prop = physical(handle)->prop;
  return cuda::kSuccess;
}

OKIBI_FAKE cuMemExportToShareableHandle(void* out, cuda::MemHandle handle, int type,
                                        unsigned long long) {
  if (type != cuda::kHandleFileDescriptor) return cuda::kNotSupported;
  *static_cast<int*>(out) = dup(physical(handle)->fd);
  return cuda::kSuccess;
}

OKIBI_FAKE cuMemImportFromShareableHandle(cuda::MemHandle* out, void* shareable, int type) {
  if (type != cuda::kHandleFileDescriptor) return cuda::kNotSupported;
  const int fd = dup(static_cast<int>(reinterpret_cast<std::intptr_t>(shareable)));
  if (fd < 0) return cuda::kInvalidValue;
  const off_t bytes = lseek(fd, 0, SEEK_END);
  *out = reinterpret_cast<cuda::MemHandle>(new Physical{.fd = fd,
                                                        .device = -1,
                                                        .bytes = static_cast<std::uint64_t>(bytes),
                                                        .references = 1,
                                                        .prop = {}});
  return cuda::kSuccess;
}

OKIBI_FAKE cuMulticastCreate(cuda::MemHandle* out, const cuda::MulticastProp* prop) {
  *out = reinterpret_cast<cuda::MemHandle>(
      new Physical{.fd = -1, .device = -1, .bytes = prop->size, .references = 1, .prop = {}});
  return cuda::kSuccess;
}

OKIBI_FAKE cuImportExternalMemory(cuda::ExternalMemory* out, const void*) {
  static char only;
  *out = reinterpret_cast<cuda::ExternalMemory>(&only);
  return cuda::kSuccess;
}

OKIBI_FAKE cuArray3DCreate_v2(cuda::Array* out, const cuda::Array3dDescriptor* d) {
  return makeArray(reinterpret_cast<ArrayBody**>(out), bytesOf(*d, 0), d->flags);
}
OKIBI_FAKE cuArrayCreate_v2(cuda::Array* out, const cuda::ArrayDescriptor* d) {
  const cuda::Array3dDescriptor solid{d->width, d->height, 0, d->format, d->channels, 0};
  return cuArray3DCreate_v2(out, &solid);
}
OKIBI_FAKE cuArrayCreate(cuda::Array* out, const cuda::ArrayDescriptorV1* d) {
  const cuda::Array3dDescriptor solid{d->width, d->height, 0, d->format, d->channels, 0};
  return cuArray3DCreate_v2(out, &solid);
}
OKIBI_FAKE cuArray3DCreate(cuda::Array* out, const cuda::Array3dDescriptorV1* d) {
  const cuda::Array3dDescriptor solid{d->width,  d->height,   d->depth,
                                      d->format, d->channels, d->flags};
  return cuArray3DCreate_v2(out, &solid);
}
OKIBI_FAKE cuArrayDestroy(cuda::Array array) {
  return endArray(reinterpret_cast<ArrayBody*>(array));
}

OKIBI_FAKE cuMipmappedArrayCreate(cuda::Mipmap* out, const cuda::Array3dDescriptor* d,
                                  unsigned levels) {
  std::uint64_t bytes = 0;
  for (unsigned level = 0; level < levels; ++level) bytes += bytesOf(*d, level);
  ArrayBody* made = nullptr;
  if (const Status refused = makeArray(&made, bytes, d->flags)) return refused;
  for (unsigned level = 0; level < levels; ++level)
    made->levels.push_back(reinterpret_cast<cuda::Array>(new ArrayBody));
  *out = reinterpret_cast<cuda::Mipmap>(made);
  return cuda::kSuccess;
}
OKIBI_FAKE cuMipmappedArrayGetLevel(cuda::Array* out, cuda::Mipmap mipmap, unsigned level) {
  const auto& levels = reinterpret_cast<ArrayBody*>(mipmap)->levels;
  if (level >= levels.size()) return cuda::kInvalidValue;
  *out = levels[level];
  return cuda::kSuccess;
}
OKIBI_FAKE cuMipmappedArrayDestroy(cuda::Mipmap mipmap) {
  return endArray(reinterpret_cast<ArrayBody*>(mipmap));
}

// All cards' memory lies in one memfd, which /proc lets another process of the same user open.
OKIBI_FAKE cuIpcGetMemHandle(cuda::IpcHandle* out, DevicePtr pointer) {
  const std::lock_guard guard(driverMutex());
  const auto range = rangeAt(pointer);
  if (!range.first) return cuda::kInvalidValue;
  const IpcName name{kIpcMagic, getpid(), memoryFd(), range.first - memoryBase(), range.second};
  std::memcpy(out->reserved, &name, sizeof name);
  return cuda::kSuccess;
}

OKIBI_FAKE cuIpcOpenMemHandle_v2(DevicePtr* out, cuda::IpcHandle handle, unsigned) {
  if (const Status refused = enter()) return refused;
  IpcName name{};
  std::memcpy(&name, handle.reserved, sizeof name);
  const std::string path = "/proc/" + std::to_string(name.pid) + "/fd/" + std::to_string(name.fd);
  const int fd = name.magic == kIpcMagic ? open(path.c_str(), O_RDWR | O_CLOEXEC) : -1;
  if (fd < 0) return cuda::kInvalidHandle;
  const std::uint64_t inPage = name.offset % kPage;
  void* got = mmap(nullptr, name.bytes + inPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                   static_cast<off_t>(name.offset - inPage));
  close(fd);
  if (got == MAP_FAILED) return cuda::kInvalidHandle;
  *out = reinterpret_cast<std::uint64_t>(got) + inPage;
  const std::lock_guard guard(driverMutex());
  opened()[*out] = name.bytes + inPage;
  return cuda::kSuccess;
}
OKIBI_FAKE cuIpcOpenMemHandle(DevicePtr* out, cuda::IpcHandle handle, unsigned flags) {
  return cuIpcOpenMemHandle_v2(out, handle, flags);
}

OKIBI_FAKE cuIpcCloseMemHandle(DevicePtr pointer) {
  const std::lock_guard guard(driverMutex());
  const auto found = opened().find(pointer);
  if (found == opened().end()) return cuda::kInvalidValue;
  munmap(at(pointer - pointer % kPage), found->second);
  opened().erase(found);
  return cuda::kSuccess;
}

}  // namespace okibi::fake
