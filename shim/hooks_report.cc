// What a program is told about memory: its slice, as if that were the card.

#include "shim/allocation.h"

namespace okibi::shim {
namespace {

struct Shown {
  std::uint64_t total;
  std::uint64_t free;
};

// Never more than the card really has left.
Shown shown(int card, std::uint64_t realTotal, std::uint64_t realFree) {
  const std::uint64_t limit = limitOf(card), used = usedOf(card);
  const std::uint64_t free = limit > used ? limit - used : 0;
  return {limit < realTotal ? limit : realTotal, free < realFree ? free : realFree};
}

template <class Size>
Size fitted(std::uint64_t bytes) {
  const std::uint64_t most = static_cast<Size>(~Size{0});
  return static_cast<Size>(bytes < most ? bytes : most);
}

template <Name N, class Size>
cuda::Status info(Size* free, Size* total) {
  const Entry entry;
  const cuda::Status status = call<N>(free, total);
  if (entry.nested() || status != cuda::kSuccess) return status;
  trueUpPools();
  const int card = currentCard();
  reap(card);
  const Shown slice = shown(card, *total, *free);
  *free = fitted<Size>(slice.free);
  *total = fitted<Size>(slice.total);
  return status;
}

template <Name N>
cuda::Status memGetInfo(std::size_t* free, std::size_t* total) {
  return info<N>(free, total);
}

template <Name N>
cuda::Status memGetInfoV1(unsigned* free, unsigned* total) {
  return info<N>(free, total);
}

template <Name N, class Size>
cuda::Status total(Size* bytes, cuda::Device device) {
  const Entry entry;
  const cuda::Status status = call<N>(bytes, device);
  if (entry.nested() || status != cuda::kSuccess) return status;
  const std::uint64_t limit = limitOf(cardOf(device));
  if (limit < *bytes) *bytes = fitted<Size>(limit);
  return status;
}

template <Name N>
cuda::Status deviceTotalMem(std::size_t* bytes, cuda::Device device) {
  return total<N>(bytes, device);
}

template <Name N>
cuda::Status deviceTotalMemV1(unsigned* bytes, cuda::Device device) {
  return total<N>(bytes, device);
}

const Hook kHooks[] = {
    OKIBI_HOOK("cuMemGetInfo_v2", memGetInfo, 3020),
    OKIBI_HOOK("cuMemGetInfo", memGetInfoV1, 2000),
    OKIBI_HOOK("cuDeviceTotalMem_v2", deviceTotalMem, 3020),
    OKIBI_HOOK("cuDeviceTotalMem", deviceTotalMemV1, 2000),
};

}  // namespace

HookList reportHooks() {
  return {kHooks, sizeof kHooks / sizeof *kHooks};
}

}  // namespace okibi::shim
