// Contexts: each takes memory that no call names (code, heaps, queues). A measured constant, given
// in the budget file, is charged for it; whatever lives in a context ends with it.

#include "shim/allocation.h"

namespace okibi::shim {
namespace {

template <Name N, class Make>
cuda::Status create(cuda::Context* out, cuda::Device device, Make make) {
  const Entry entry;
  if (entry.nested()) return make();
  const int card = cardOf(device);
  const std::uint64_t units = budgetFile().contextUnits;
  const cuda::Status status = charged(card, units, make);
  if (status != cuda::kSuccess) return status;
  remember({.key = reinterpret_cast<std::uint64_t>(*out),
            .units = units,
            .context = 0,
            .other = 0,
            .kind = Kind::ContextObject,
            .card = static_cast<std::uint8_t>(card),
            .flags = 0,
            .references = 1});
  return status;
}

template <Name N>
cuda::Status ctxCreate(cuda::Context* out, unsigned flags, cuda::Device device) {
  return create<N>(out, device, [&] { return call<N>(out, flags, device); });
}

template <Name N>
cuda::Status ctxCreateV3(cuda::Context* out, void* affinity, int count, unsigned flags,
                         cuda::Device device) {
  return create<N>(out, device, [&] { return call<N>(out, affinity, count, flags, device); });
}

template <Name N>
cuda::Status ctxCreateV4(cuda::Context* out, void* params, unsigned flags, cuda::Device device) {
  return create<N>(out, device, [&] { return call<N>(out, params, flags, device); });
}

template <Name N>
cuda::Status ctxDestroy(cuda::Context context) {
  const Entry entry;
  const cuda::Status status = call<N>(context);
  if (entry.nested() || status != cuda::kSuccess) return status;
  forgetContext(reinterpret_cast<std::uint64_t>(context));
  forget(Kind::ContextObject, reinterpret_cast<std::uint64_t>(context));
  return status;
}

// A device's primary context is one for the whole process, however often it is retained.
template <Name N>
cuda::Status primaryRetain(cuda::Context* out, cuda::Device device) {
  const Entry entry;
  if (entry.nested()) return call<N>(out, device);
  const auto key = static_cast<std::uint64_t>(device);
  const auto held = [&]() -> bool {
    const Guard guard(ledger().lock);
    Record* record = ledger().table.find(Kind::PrimaryContext, key);
    if (record) ++record->references;
    return record != nullptr;
  };
  const int card = cardOf(device);
  const std::uint64_t units = budgetFile().contextUnits;
  if (held()) {
    const cuda::Status status = call<N>(out, device);
    if (status == cuda::kSuccess) return status;
    const Guard guard(ledger().lock);
    if (Record* record = ledger().table.find(Kind::PrimaryContext, key)) --record->references;
    return status;
  }
  const cuda::Status status = charged(card, units, [&] { return call<N>(out, device); });
  if (status != cuda::kSuccess) return status;
  // Another thread may have been here meanwhile: one charge is enough.
  if (held()) {
    giveBack(card, units);
    return status;
  }
  remember({.key = key,
            .units = units,
            .context = 0,
            .other = reinterpret_cast<std::uint64_t>(*out),
            .kind = Kind::PrimaryContext,
            .card = static_cast<std::uint8_t>(card),
            .flags = 0,
            .references = 1});
  return status;
}

void endPrimary(cuda::Device device) {
  const Record was = take(Kind::PrimaryContext, static_cast<std::uint64_t>(device));
  if (was.kind == Kind::None) return;
  forgetContext(was.other);
  giveBack(was.card, was.units);
}

template <Name N>
cuda::Status primaryRelease(cuda::Device device) {
  const Entry entry;
  const cuda::Status status = call<N>(device);
  if (entry.nested() || status != cuda::kSuccess) return status;
  bool last = false;
  {
    const Guard guard(ledger().lock);
    Record* record = ledger().table.find(Kind::PrimaryContext, static_cast<std::uint64_t>(device));
    last = record && --record->references == 0;
  }
  if (last) endPrimary(device);
  return status;
}

// Everything in it is gone, but whoever retained it may go on, so its charge stays until the
// release.
template <Name N>
cuda::Status primaryReset(cuda::Device device) {
  const Entry entry;
  const cuda::Status status = call<N>(device);
  if (entry.nested() || status != cuda::kSuccess) return status;
  std::uint64_t context = 0;
  {
    const Guard guard(ledger().lock);
    const Record* record =
        ledger().table.find(Kind::PrimaryContext, static_cast<std::uint64_t>(device));
    if (record) context = record->other;
  }
  if (context) forgetContext(context);
  return status;
}

const Hook kHooks[] = {
    OKIBI_HOOK("cuCtxCreate", ctxCreate, 2000),
    OKIBI_HOOK("cuCtxCreate_v2", ctxCreate, 3020),
    OKIBI_HOOK("cuCtxCreate_v3", ctxCreateV3, 11040),
    OKIBI_HOOK("cuCtxCreate_v4", ctxCreateV4, 12050),
    OKIBI_HOOK("cuCtxDestroy", ctxDestroy, 2000),
    OKIBI_HOOK("cuCtxDestroy_v2", ctxDestroy, 4000),
    OKIBI_HOOK("cuDevicePrimaryCtxRetain", primaryRetain, 7000),
    OKIBI_HOOK("cuDevicePrimaryCtxRelease", primaryRelease, 7000),
    OKIBI_HOOK("cuDevicePrimaryCtxRelease_v2", primaryRelease, 11000),
    OKIBI_HOOK("cuDevicePrimaryCtxReset", primaryReset, 7000),
    OKIBI_HOOK("cuDevicePrimaryCtxReset_v2", primaryReset, 11000),
    OKIBI_WANTED("cuCtxGetDevice"),
    OKIBI_WANTED("cuCtxGetCurrent"),
    OKIBI_WANTED("cuDeviceGetUuid_v2"),
};

}  // namespace

HookList contextHooks() {
  return {kHooks, sizeof kHooks / sizeof *kHooks};
}

}  // namespace okibi::shim
