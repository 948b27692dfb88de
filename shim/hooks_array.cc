// Arrays: the driver does not say what an array takes, so it is charged by its elements; padding is
// the watchdog's.

#include "shim/allocation.h"

namespace okibi::shim {
namespace {

// Bytes of one channel of an element. Formats not listed take at most four.
std::uint64_t channelBytes(int format) {
  switch (format) {
    case 0x01:  // 8-bit integers
    case 0x08:
    case 0xc0:
    case 0xc1:
    case 0xc2:
    case 0xc6:
    case 0xc7:
    case 0xc8:
      return 1;
    case 0x02:  // 16-bit integers and halves
    case 0x09:
    case 0x10:
    case 0xc3:
    case 0xc4:
    case 0xc5:
    case 0xc9:
    case 0xca:
    case 0xcb:
      return 2;
    default:
      return 4;
  }
}

std::uint64_t atLeastOne(std::uint64_t n) {
  return n ? n : 1;
}

// Saturates: a product beyond 64 bits is over every limit.
std::uint64_t times(std::uint64_t a, std::uint64_t b) {
  std::uint64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? ~std::uint64_t{0} : product;
}

template <class Descriptor>
std::uint64_t levelBytes(const Descriptor& d, std::uint64_t depth, unsigned level) {
  const std::uint64_t element = channelBytes(d.format) * atLeastOne(d.channels);
  const std::uint64_t plane = times(atLeastOne(d.width >> level), atLeastOne(d.height >> level));
  return times(times(plane, atLeastOne(depth >> level)), element);
}

// Sparse arrays and those mapped later own no memory: what is mapped into them comes from
// cuMemCreate.
template <class Descriptor>
bool ownsMemory(const Descriptor& d) {
  return (d.flags & (cuda::kArraySparse | cuda::kArrayDeferredMapping)) == 0;
}

template <Name N, class Handle, class Make>
cuda::Status create(Handle* out, std::uint64_t bytes, Make make) {
  const int card = currentCard();
  const std::uint64_t units = budget::unitsOf(bytes);
  const cuda::Status status = charged(card, units, make);
  if (status != cuda::kSuccess) return status;
  remember(ownedNote(Kind::ArrayObject, reinterpret_cast<std::uint64_t>(*out), card, units));
  return status;
}

template <Name N, class Descriptor>
cuda::Status createFlat(cuda::Array* out, const Descriptor* d) {
  const Entry entry;
  if (entry.nested() || !d) return call<N>(out, d);
  return create<N>(out, levelBytes(*d, 1, 0), [&] { return call<N>(out, d); });
}

template <Name N, class Descriptor>
cuda::Status createSolid(cuda::Array* out, const Descriptor* d) {
  const Entry entry;
  if (entry.nested() || !d || !ownsMemory(*d)) return call<N>(out, d);
  return create<N>(out, levelBytes(*d, d->depth, 0), [&] { return call<N>(out, d); });
}

template <Name N>
cuda::Status arrayCreate(cuda::Array* out, const cuda::ArrayDescriptor* d) {
  return createFlat<N>(out, d);
}

template <Name N>
cuda::Status arrayCreateV1(cuda::Array* out, const cuda::ArrayDescriptorV1* d) {
  return createFlat<N>(out, d);
}

template <Name N>
cuda::Status array3dCreate(cuda::Array* out, const cuda::Array3dDescriptor* d) {
  return createSolid<N>(out, d);
}

template <Name N>
cuda::Status array3dCreateV1(cuda::Array* out, const cuda::Array3dDescriptorV1* d) {
  return createSolid<N>(out, d);
}

template <Name N>
cuda::Status mipmapCreate(cuda::Mipmap* out, const cuda::Array3dDescriptor* d, unsigned levels) {
  const Entry entry;
  if (entry.nested() || !d || !ownsMemory(*d)) return call<N>(out, d, levels);
  std::uint64_t bytes = 0;
  for (unsigned level = 0; level < levels && level < 64; ++level) {
    if (__builtin_add_overflow(bytes, levelBytes(*d, d->depth, level), &bytes))
      bytes = ~std::uint64_t{0};
    if (bytes == ~std::uint64_t{0}) break;
  }
  return create<N>(out, bytes, [&] { return call<N>(out, d, levels); });
}

template <Name N, class Handle>
cuda::Status destroy(Handle handle) {
  const Entry entry;
  if (entry.nested()) return call<N>(handle);
  const auto key = reinterpret_cast<std::uint64_t>(handle);
  return endNoted(Kind::ArrayObject, key, [&] { return call<N>(handle); }).status;
}

template <Name N>
cuda::Status arrayDestroy(cuda::Array handle) {
  return destroy<N>(handle);
}

template <Name N>
cuda::Status mipmapDestroy(cuda::Mipmap handle) {
  return destroy<N>(handle);
}

const Hook kHooks[] = {
    OKIBI_HOOK("cuArrayCreate_v2", arrayCreate, 3020),
    OKIBI_HOOK("cuArrayCreate", arrayCreateV1, 2000),
    OKIBI_HOOK("cuArray3DCreate_v2", array3dCreate, 3020),
    OKIBI_HOOK("cuArray3DCreate", array3dCreateV1, 2000),
    OKIBI_HOOK("cuArrayDestroy", arrayDestroy, 2000),
    OKIBI_HOOK("cuMipmappedArrayCreate", mipmapCreate, 5000),
    OKIBI_HOOK("cuMipmappedArrayDestroy", mipmapDestroy, 5000),
};

}  // namespace

HookList arrayHooks() {
  return {kHooks, sizeof kHooks / sizeof *kHooks};
}

}  // namespace okibi::shim
