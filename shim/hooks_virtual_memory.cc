// cuMemCreate and mappings: physical memory lives as long as a handle or a mapping of it does.

#include "shim/allocation.h"

namespace okibi::shim {
namespace {

template <Name N>
cuda::Status memCreate(cuda::MemHandle* handle, std::size_t bytes, const cuda::AllocationProp* prop,
                       unsigned long long flags) {
  const Entry entry;
  const bool onHost = prop && prop->location.type != cuda::kLocationDevice;
  if (entry.nested() || !prop || onHost) return call<N>(handle, bytes, prop, flags);
  const int card = cardOf(prop->location.id);
  const std::uint64_t units = budget::unitsOf(bytes);
  const cuda::Status status =
      charged(card, units, [&] { return call<N>(handle, bytes, prop, flags); });
  if (status == cuda::kSuccess) {
    remember({.key = *handle,
              .units = units,
              .context = 0,
              .other = 0,
              .kind = Kind::Handle,
              .card = static_cast<std::uint8_t>(card),
              .flags = 0,
              .references = 1});
  }
  return status;
}

// One reference fewer; the last one's memory is the driver's again, unless another process may hold
// it.
void drop(std::uint64_t handle) {
  Record was{};
  {
    const Guard guard(ledger().lock);
    Record* record = ledger().table.find(Kind::Handle, handle);
    if (!record || --record->references > 0) return;
    was = *record;
    ledger().table.erase(record);
  }
  if (!(was.flags & kExported)) giveBack(was.card, was.units);
}

bool hold(std::uint64_t handle) {
  const Guard guard(ledger().lock);
  Record* record = ledger().table.find(Kind::Handle, handle);
  if (record) ++record->references;
  return record != nullptr;
}

template <Name N>
cuda::Status memRelease(cuda::MemHandle handle) {
  const Entry entry;
  const cuda::Status status = call<N>(handle);
  if (!entry.nested() && status == cuda::kSuccess) drop(handle);
  return status;
}

template <Name N>
cuda::Status memRetainHandle(cuda::MemHandle* handle, void* address) {
  const Entry entry;
  const cuda::Status status = call<N>(handle, address);
  if (!entry.nested() && status == cuda::kSuccess) hold(*handle);
  return status;
}

template <Name N>
cuda::Status memMap(cuda::DevicePtr pointer, std::size_t bytes, std::size_t offset,
                    cuda::MemHandle handle, unsigned long long flags) {
  const Entry entry;
  const cuda::Status status = call<N>(pointer, bytes, offset, handle, flags);
  if (entry.nested() || status != cuda::kSuccess || !hold(handle)) return status;
  remember({.key = pointer,
            .units = bytes,
            .context = 0,
            .other = handle,
            .kind = Kind::Mapping,
            .card = 0,
            .flags = 0,
            .references = 1});
  return status;
}

// The range may cover several mappings, one behind the other.
template <Name N>
cuda::Status memUnmap(cuda::DevicePtr pointer, std::size_t bytes) {
  const Entry entry;
  const cuda::Status status = call<N>(pointer, bytes);
  if (entry.nested() || status != cuda::kSuccess) return status;
  for (std::uint64_t at = pointer; at < pointer + bytes;) {
    const Record was = take(Kind::Mapping, at);
    if (was.kind == Kind::None || was.units == 0) break;  // an import's
    drop(was.other);
    at += was.units;
  }
  return status;
}

// From now on it may live in another process: charged here until this one ends.
template <Name N>
cuda::Status memExport(void* shareable, cuda::MemHandle handle, int type,
                       unsigned long long flags) {
  const Entry entry;
  const cuda::Status status = call<N>(shareable, handle, type, flags);
  if (entry.nested() || status != cuda::kSuccess) return status;
  {
    const Guard guard(ledger().lock);
    if (Record* record = ledger().table.find(Kind::Handle, handle)) record->flags |= kExported;
  }
  mark(budget::kMarkExport);
  return status;
}

const Hook kHooks[] = {
    OKIBI_HOOK("cuMemCreate", memCreate, 10020),
    OKIBI_HOOK("cuMemRelease", memRelease, 10020),
    OKIBI_HOOK("cuMemRetainAllocationHandle", memRetainHandle, 11000),
    OKIBI_HOOK("cuMemMap", memMap, 10020),
    OKIBI_HOOK("cuMemUnmap", memUnmap, 10020),
    OKIBI_HOOK("cuMemExportToShareableHandle", memExport, 10020),
};

}  // namespace

HookList virtualMemoryHooks() {
  return {kHooks, sizeof kHooks / sizeof *kHooks};
}

}  // namespace okibi::shim
