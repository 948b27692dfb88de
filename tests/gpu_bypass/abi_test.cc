// shim/cuda_abi.h against the toolkit's own header: sizes, offsets, constants.

#include <cuda.h>
#include <gtest/gtest.h>

#include "shim/cuda_abi.h"

namespace okibi {
namespace {

#define EXPECT_SAME_SIZE(ours, theirs) static_assert(sizeof(ours) == sizeof(theirs))
#define EXPECT_SAME_PLACE(ours, field, theirs, theirField) \
  static_assert(offsetof(ours, field) == offsetof(theirs, theirField))
#define EXPECT_SAME(ours, theirs) \
  static_assert(static_cast<long long>(ours) == static_cast<long long>(theirs))

EXPECT_SAME_SIZE(cuda::Location, CUmemLocation);
EXPECT_SAME_SIZE(cuda::AllocationProp, CUmemAllocationProp);
EXPECT_SAME_PLACE(cuda::AllocationProp, location, CUmemAllocationProp, location);
EXPECT_SAME_PLACE(cuda::AllocationProp, requestedHandleTypes, CUmemAllocationProp,
                  requestedHandleTypes);
EXPECT_SAME_SIZE(cuda::AccessDesc, CUmemAccessDesc);
EXPECT_SAME_PLACE(cuda::AccessDesc, flags, CUmemAccessDesc, flags);
EXPECT_SAME_SIZE(cuda::PoolProps, CUmemPoolProps);
EXPECT_SAME_PLACE(cuda::PoolProps, location, CUmemPoolProps, location);
EXPECT_SAME_PLACE(cuda::PoolProps, maxSize, CUmemPoolProps, maxSize);
EXPECT_SAME_SIZE(cuda::AllocNodeParams, CUDA_MEM_ALLOC_NODE_PARAMS);
EXPECT_SAME_PLACE(cuda::AllocNodeParams, bytesize, CUDA_MEM_ALLOC_NODE_PARAMS, bytesize);
EXPECT_SAME_PLACE(cuda::AllocNodeParams, dptr, CUDA_MEM_ALLOC_NODE_PARAMS, dptr);
EXPECT_SAME_SIZE(cuda::GraphNodeParams, CUgraphNodeParams);
EXPECT_SAME_PLACE(cuda::GraphNodeParams, alloc, CUgraphNodeParams, alloc);
EXPECT_SAME_PLACE(cuda::GraphNodeParams, freed, CUgraphNodeParams, free);
EXPECT_SAME_PLACE(cuda::GraphNodeParams, child, CUgraphNodeParams, graph);
EXPECT_SAME_SIZE(cuda::ArrayDescriptor, CUDA_ARRAY_DESCRIPTOR);
EXPECT_SAME_PLACE(cuda::ArrayDescriptor, format, CUDA_ARRAY_DESCRIPTOR, Format);
EXPECT_SAME_SIZE(cuda::Array3dDescriptor, CUDA_ARRAY3D_DESCRIPTOR);
EXPECT_SAME_PLACE(cuda::Array3dDescriptor, flags, CUDA_ARRAY3D_DESCRIPTOR, Flags);
EXPECT_SAME_SIZE(cuda::IpcHandle, CUipcMemHandle);
EXPECT_SAME_SIZE(cuda::Uuid, CUuuid);
EXPECT_SAME_SIZE(cuda::MulticastProp, CUmulticastObjectProp);
EXPECT_SAME_SIZE(cuda::LaunchConfig, CUlaunchConfig);
EXPECT_SAME_PLACE(cuda::LaunchConfig, stream, CUlaunchConfig, hStream);
EXPECT_SAME_SIZE(cuda::Device, CUdevice);
EXPECT_SAME_SIZE(cuda::DevicePtr, CUdeviceptr);
EXPECT_SAME_SIZE(cuda::MemHandle, CUmemGenericAllocationHandle);

EXPECT_SAME(cuda::kOutOfMemory, CUDA_ERROR_OUT_OF_MEMORY);
EXPECT_SAME(cuda::kNotInitialized, CUDA_ERROR_NOT_INITIALIZED);
EXPECT_SAME(cuda::kInvalidDevice, CUDA_ERROR_INVALID_DEVICE);
EXPECT_SAME(cuda::kInvalidContext, CUDA_ERROR_INVALID_CONTEXT);
EXPECT_SAME(cuda::kOperatingSystem, CUDA_ERROR_OPERATING_SYSTEM);
EXPECT_SAME(cuda::kInvalidHandle, CUDA_ERROR_INVALID_HANDLE);
EXPECT_SAME(cuda::kIllegalState, CUDA_ERROR_ILLEGAL_STATE);
EXPECT_SAME(cuda::kNotFound, CUDA_ERROR_NOT_FOUND);
EXPECT_SAME(cuda::kNotReady, CUDA_ERROR_NOT_READY);
EXPECT_SAME(cuda::kNotPermitted, CUDA_ERROR_NOT_PERMITTED);
EXPECT_SAME(cuda::kNotSupported, CUDA_ERROR_NOT_SUPPORTED);
EXPECT_SAME(cuda::kLocationDevice, CU_MEM_LOCATION_TYPE_DEVICE);
EXPECT_SAME(cuda::kLocationHost, CU_MEM_LOCATION_TYPE_HOST);
EXPECT_SAME(cuda::kAllocationPinned, CU_MEM_ALLOCATION_TYPE_PINNED);
EXPECT_SAME(cuda::kHandleFileDescriptor, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR);
EXPECT_SAME(cuda::kPoolReleaseThreshold, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD);
EXPECT_SAME(cuda::kPoolReserved, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT);
EXPECT_SAME(cuda::kPoolUsed, CU_MEMPOOL_ATTR_USED_MEM_CURRENT);
EXPECT_SAME(cuda::kGraphMemUsed, CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT);
EXPECT_SAME(cuda::kGraphMemReserved, CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT);
EXPECT_SAME(cuda::kNodeKernel, CU_GRAPH_NODE_TYPE_KERNEL);
EXPECT_SAME(cuda::kNodeChildGraph, CU_GRAPH_NODE_TYPE_GRAPH);
EXPECT_SAME(cuda::kNodeMemAlloc, CU_GRAPH_NODE_TYPE_MEM_ALLOC);
EXPECT_SAME(cuda::kNodeMemFree, CU_GRAPH_NODE_TYPE_MEM_FREE);
EXPECT_SAME(cuda::kResolveLegacyStream, CU_GET_PROC_ADDRESS_LEGACY_STREAM);
EXPECT_SAME(cuda::kResolvePerThreadStream, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM);
EXPECT_SAME(cuda::kArraySparse, CUDA_ARRAY3D_SPARSE);
EXPECT_SAME(cuda::kArrayDeferredMapping, CUDA_ARRAY3D_DEFERRED_MAPPING);

#if CUDA_VERSION >= 12080
EXPECT_SAME_SIZE(cuda::LockArgs, CUcheckpointLockArgs);
EXPECT_SAME_PLACE(cuda::LockArgs, timeoutMs, CUcheckpointLockArgs, timeoutMs);
EXPECT_SAME_SIZE(cuda::CheckpointArgs, CUcheckpointCheckpointArgs);
EXPECT_SAME_SIZE(cuda::RestoreArgs, CUcheckpointRestoreArgs);
EXPECT_SAME(cuda::kStateRunning, CU_PROCESS_STATE_RUNNING);
EXPECT_SAME(cuda::kStateLocked, CU_PROCESS_STATE_LOCKED);
EXPECT_SAME(cuda::kStateCheckpointed, CU_PROCESS_STATE_CHECKPOINTED);
EXPECT_SAME(cuda::kStateFailed, CU_PROCESS_STATE_FAILED);
#endif

// Compiling is the test; this counts it.
TEST(CudaAbi, IsTheToolkits) {
  EXPECT_GE(CUDA_VERSION, 12000);
}

}  // namespace
}  // namespace okibi
