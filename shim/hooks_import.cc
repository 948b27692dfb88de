// Memory that another process allocated: its maker is charged, the importer is only marked, because
// the driver cannot park it. A multicast object owns no memory: what is bound to it was made, and
// charged, by cuMemCreate.

#include "shim/allocation.h"

namespace okibi::shim {
namespace {

cuda::Status marked(bool nested, cuda::Status status, std::uint32_t marks) {
  if (!nested && status == cuda::kSuccess) mark(marks);
  return status;
}

template <Name N>
cuda::Status ipcOpen(cuda::DevicePtr* out, cuda::IpcHandle handle, unsigned flags) {
  const Entry entry;
  return marked(entry.nested(), call<N>(out, handle, flags), budget::kMarkIpcImport);
}

template <Name N>
cuda::Status memImport(cuda::MemHandle* handle, void* shareable, int type) {
  const Entry entry;
  return marked(entry.nested(), call<N>(handle, shareable, type), budget::kMarkVmmImport);
}

template <Name N>
cuda::Status poolImportPointer(cuda::DevicePtr* out, cuda::Pool pool, void* data) {
  const Entry entry;
  return marked(entry.nested(), call<N>(out, pool, data), budget::kMarkPoolImport);
}

template <Name N>
cuda::Status externalImport(cuda::ExternalMemory* out, const void* description) {
  const Entry entry;
  return marked(entry.nested(), call<N>(out, description), budget::kMarkExternalImport);
}

template <Name N>
cuda::Status multicastCreate(cuda::MemHandle* out, const cuda::MulticastProp* prop) {
  const Entry entry;
  return marked(entry.nested(), call<N>(out, prop), budget::kMarkMulticast);
}

// The memory may outlive this process's wish to free it; freeing it while another has it open is
// undefined, so it is charged like any other.
template <Name N>
cuda::Status ipcGet(cuda::IpcHandle* handle, cuda::DevicePtr pointer) {
  const Entry entry;
  return marked(entry.nested(), call<N>(handle, pointer), budget::kMarkExport);
}

const Hook kHooks[] = {
    OKIBI_HOOK("cuIpcOpenMemHandle", ipcOpen, 4010),
    OKIBI_HOOK("cuIpcOpenMemHandle_v2", ipcOpen, 11000),
    OKIBI_HOOK("cuIpcGetMemHandle", ipcGet, 4010),
    OKIBI_HOOK("cuMemImportFromShareableHandle", memImport, 10020),
    OKIBI_HOOK("cuMemPoolImportPointer", poolImportPointer, 11020),
    OKIBI_HOOK("cuImportExternalMemory", externalImport, 10000),
    OKIBI_HOOK("cuMulticastCreate", multicastCreate, 12010),
};

}  // namespace

HookList importHooks() {
  return {kHooks, sizeof kHooks / sizeof *kHooks};
}

}  // namespace okibi::shim
