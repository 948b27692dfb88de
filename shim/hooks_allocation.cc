// cuMemAlloc and its like: charged by their size, given back by cuMemFree.

#include "shim/allocation.h"

namespace okibi::shim {
namespace {

// Rows of a pitched allocation are padded to at most this many bytes by every card known; the pitch
// it really got is charged afterwards.
constexpr std::uint64_t kPitchAlignment = 512;

Record pointerRecord(std::uint64_t pointer, int card, std::uint64_t units) {
  return ownedNote(Kind::Pointer, pointer, card, units);
}

// Also for the first generation of the interface, whose pointers and sizes have 32 bits.
template <Name N, class Ptr, class Size>
cuda::Status allocate(Ptr* out, Size bytes) {
  const Entry entry;
  if (entry.nested()) return call<N>(out, bytes);
  const int card = currentCard();
  const std::uint64_t units = budget::unitsOf(bytes);
  const cuda::Status status = charged(card, units, [&] { return call<N>(out, bytes); });
  if (status == cuda::kSuccess) remember(pointerRecord(*out, card, units));
  return status;
}

template <Name N>
cuda::Status memAlloc(cuda::DevicePtr* out, std::size_t bytes) {
  return allocate<N>(out, bytes);
}

template <Name N>
cuda::Status memAllocV1(unsigned* out, unsigned bytes) {
  return allocate<N>(out, bytes);
}

template <Name N>
cuda::Status memAllocManaged(cuda::DevicePtr* out, std::size_t bytes, unsigned flags) {
  const Entry entry;
  if (entry.nested()) return call<N>(out, bytes, flags);
  const int card = currentCard();
  const std::uint64_t units = budget::unitsOf(bytes);
  const cuda::Status status = charged(card, units, [&] { return call<N>(out, bytes, flags); });
  if (status != cuda::kSuccess) return status;
  remember(pointerRecord(*out, card, units));
  mark(budget::kMarkManaged);
  return status;
}

std::uint64_t pitched(std::uint64_t width, std::uint64_t height) {
  std::uint64_t bytes = 0;
  const std::uint64_t row = (width + kPitchAlignment - 1) & ~(kPitchAlignment - 1);
  return row < width || __builtin_mul_overflow(row, height, &bytes) ? ~std::uint64_t{0} : bytes;
}

template <Name N, class Ptr, class Size>
cuda::Status allocatePitch(Ptr* out, Size* pitch, Size width, Size height, unsigned element) {
  const Entry entry;
  if (entry.nested()) return call<N>(out, pitch, width, height, element);
  const int card = currentCard();
  std::uint64_t units = budget::unitsOf(pitched(width, height));
  const cuda::Status status =
      charged(card, units, [&] { return call<N>(out, pitch, width, height, element); });
  if (status != cuda::kSuccess) return status;
  const std::uint64_t real = budget::unitsOf(std::uint64_t{*pitch} * height);
  if (real > units) chargeRegardless(card, real - units);
  if (real < units) giveBack(card, units - real);
  units = real;
  remember(pointerRecord(*out, card, units));
  return status;
}

template <Name N>
cuda::Status memAllocPitch(cuda::DevicePtr* out, std::size_t* pitch, std::size_t width,
                           std::size_t height, unsigned element) {
  return allocatePitch<N>(out, pitch, width, height, element);
}

template <Name N>
cuda::Status memAllocPitchV1(unsigned* out, unsigned* pitch, unsigned width, unsigned height,
                             unsigned element) {
  return allocatePitch<N>(out, pitch, width, height, element);
}

template <Name N, class Ptr>
cuda::Status release(Ptr pointer) {
  const Entry entry;
  if (entry.nested()) return call<N>(pointer);
  const Ended ended = endNoted(Kind::Pointer, pointer, [&] { return call<N>(pointer); });
  const bool perhapsPooled = ended.noted == Ended::Noted::No && ended.status == cuda::kSuccess;
  if (perhapsPooled && forgetPooled(pointer)) trueUpPools();
  return ended.status;
}

template <Name N>
cuda::Status memFree(cuda::DevicePtr pointer) {
  return release<N>(pointer);
}

template <Name N>
cuda::Status memFreeV1(unsigned pointer) {
  return release<N>(pointer);
}

const Hook kHooks[] = {
    OKIBI_HOOK("cuMemAlloc_v2", memAlloc, 3020),
    OKIBI_HOOK("cuMemAlloc", memAllocV1, 2000),
    OKIBI_HOOK("cuMemAllocPitch_v2", memAllocPitch, 3020),
    OKIBI_HOOK("cuMemAllocPitch", memAllocPitchV1, 2000),
    OKIBI_HOOK("cuMemAllocManaged", memAllocManaged, 6000),
    OKIBI_HOOK("cuMemFree_v2", memFree, 3020),
    OKIBI_HOOK("cuMemFree", memFreeV1, 2000),
};

}  // namespace

HookList allocationHooks() {
  return {kHooks, sizeof kHooks / sizeof *kHooks};
}

}  // namespace okibi::shim
