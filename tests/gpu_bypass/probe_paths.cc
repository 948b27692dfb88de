// Every way to allocate: take blocks until refused, say how many, free them all.

#include <functional>
#include <map>

#include <unistd.h>

#include "gpu_bypass/probe.h"

namespace okibi::bypass {
namespace {

struct Block {
  cuda::DevicePtr pointer = 0;
  cuda::MemHandle handle = 0;
  void* object = nullptr;
};

struct Path {
  std::function<int(std::size_t, Block&)> take;
  std::function<void(const Block&, std::size_t)> give;
};

cuda::Stream stream() {
  static cuda::Stream made = [] {
    cuda::Stream s = nullptr;
    call("cuStreamCreate", &s, 0u);
    return s;
  }();
  return made;
}

cuda::Pool ownPool() {
  static cuda::Pool made = [] {
    cuda::PoolProps props{};
    props.allocType = cuda::kAllocationPinned;
    props.location = {cuda::kLocationDevice, 0};
    cuda::Pool pool = nullptr;
    call("cuMemPoolCreate", &pool, static_cast<const cuda::PoolProps*>(&props));
    return pool;
  }();
  return made;
}

void freePointer(const Block& block, std::size_t) {
  call("cuMemFree_v2", block.pointer);
}

void freeAsync(const Block& block, std::size_t) {
  call("cuMemFreeAsync", block.pointer, stream());
}

int takePitched(std::size_t bytes, Block& block) {
  std::size_t pitch = 0;
  return call("cuMemAllocPitch_v2", &block.pointer, &pitch, std::size_t{1 << 16}, bytes >> 16, 4u);
}

cuda::AllocationProp onDevice() {
  cuda::AllocationProp prop{};
  prop.type = cuda::kAllocationPinned;
  prop.requestedHandleTypes = cuda::kHandleFileDescriptor;
  prop.location = {cuda::kLocationDevice, 0};
  return prop;
}

// Created, mapped, and the handle released at once: the mapping keeps the memory.
int takeMapped(std::size_t bytes, Block& block) {
  const cuda::AllocationProp prop = onDevice();
  if (const int status = call("cuMemCreate", &block.handle, bytes, &prop, 0ull)) return status;
  call("cuMemAddressReserve", &block.pointer, bytes, std::size_t{0}, cuda::DevicePtr{0}, 0ull);
  call("cuMemMap", block.pointer, bytes, std::size_t{0}, block.handle, 0ull);
  const cuda::AccessDesc access{prop.location, 3};
  call("cuMemSetAccess", block.pointer, bytes, &access, std::size_t{1});
  return call("cuMemRelease", block.handle);
}

void giveMapped(const Block& block, std::size_t bytes) {
  call("cuMemUnmap", block.pointer, bytes);
  call("cuMemAddressFree", block.pointer, bytes);
}

int takeCreated(std::size_t bytes, Block& block) {
  const cuda::AllocationProp prop = onDevice();
  return call("cuMemCreate", &block.handle, bytes, &prop, 0ull);
}

constexpr int kFloat = 0x20;

int takeArray(std::size_t bytes, Block& block) {
  const cuda::ArrayDescriptor d{1024, bytes / 4096, kFloat, 1};
  return call("cuArrayCreate_v2", reinterpret_cast<cuda::Array*>(&block.object), &d);
}

cuda::Array3dDescriptor solid(std::size_t bytes) {
  return {64, 64, bytes / (64 * 64 * 4), kFloat, 1, 0};
}

int takeSolid(std::size_t bytes, Block& block) {
  const cuda::Array3dDescriptor d = solid(bytes);
  return call("cuArray3DCreate_v2", reinterpret_cast<cuda::Array*>(&block.object), &d);
}

int takeMipmap(std::size_t bytes, Block& block) {
  const cuda::Array3dDescriptor d = solid(bytes);
  return call("cuMipmappedArrayCreate", reinterpret_cast<cuda::Mipmap*>(&block.object), &d, 1u);
}

void giveArray(const Block& block, std::size_t) {
  call("cuArrayDestroy", reinterpret_cast<cuda::Array>(block.object));
}

void giveMipmap(const Block& block, std::size_t) {
  call("cuMipmappedArrayDestroy", reinterpret_cast<cuda::Mipmap>(block.object));
}

int instantiateAndLaunch(cuda::Graph graph, Block& block) {
  cuda::GraphExec exec = nullptr;
  if (const int status = call("cuGraphInstantiateWithFlags", &exec, graph, 0ull)) return status;
  block.object = exec;
  return call("cuGraphLaunch", exec, stream());
}

cuda::AllocNodeParams allocationNode(std::size_t bytes) {
  cuda::AllocNodeParams params{};
  params.poolProps.allocType = cuda::kAllocationPinned;
  params.poolProps.location = {cuda::kLocationDevice, 0};
  params.bytesize = bytes;
  return params;
}

int takeGraph(std::size_t bytes, Block& block) {
  cuda::Graph graph = nullptr;
  cuda::GraphNode node = nullptr;
  call("cuGraphCreate", &graph, 0u);
  cuda::AllocNodeParams params = allocationNode(bytes);
  const cuda::GraphNode* none = nullptr;
  if (const int status =
          call("cuGraphAddMemAllocNode", &node, graph, none, std::size_t{0}, &params))
    return status;
  block.pointer = params.dptr;
  return instantiateAndLaunch(graph, block);
}

int takeGraphNode(std::size_t bytes, Block& block) {
  cuda::Graph graph = nullptr;
  cuda::GraphNode node = nullptr;
  call("cuGraphCreate", &graph, 0u);
  cuda::GraphNodeParams params{};
  params.type = cuda::kNodeMemAlloc;
  params.alloc = allocationNode(bytes);
  const cuda::GraphNode* none = nullptr;
  if (const int status = call("cuGraphAddNode", &node, graph, none, std::size_t{0}, &params))
    return status;
  block.pointer = params.alloc.dptr;
  return instantiateAndLaunch(graph, block);
}

// cuMemAllocAsync while a stream is captured becomes a node.
int takeCaptured(std::size_t bytes, Block& block) {
  cuda::Graph graph = nullptr;
  call("cuStreamBeginCapture_v2", stream(), 2);
  if (const int status = call("cuMemAllocAsync", &block.pointer, bytes, stream())) return status;
  call("cuStreamEndCapture", stream(), &graph);
  return instantiateAndLaunch(graph, block);
}

// A graph's memory that is still in use is freed like any other, by the stream.
void giveGraph(const Block& block, std::size_t) {
  cuda::Graph graph = nullptr;
  cuda::GraphNode node = nullptr;
  cuda::GraphExec exec = nullptr;
  const cuda::GraphNode* none = nullptr;
  call("cuGraphCreate", &graph, 0u);
  call("cuGraphAddMemFreeNode", &node, graph, none, std::size_t{0}, block.pointer);
  call("cuGraphInstantiateWithFlags", &exec, graph, 0ull);
  call("cuGraphLaunch", exec, stream());
  call("cuStreamSynchronize", stream());
  call("cuGraphExecDestroy", reinterpret_cast<cuda::GraphExec>(block.object));
}

const std::map<std::string, Path>& paths() {
  static const std::map<std::string, Path> all = {
      {"plain",
       {[](std::size_t n, Block& b) { return call("cuMemAlloc_v2", &b.pointer, n); }, freePointer}},
      {"pitch", {takePitched, freePointer}},
      {"managed",
       {[](std::size_t n, Block& b) { return call("cuMemAllocManaged", &b.pointer, n, 1u); },
        freePointer}},
      {"async",
       {[](std::size_t n, Block& b) { return call("cuMemAllocAsync", &b.pointer, n, stream()); },
        freeAsync}},
      {"async-free",
       {[](std::size_t n, Block& b) { return call("cuMemAllocAsync", &b.pointer, n, stream()); },
        freePointer}},
      {"async-ptsz",
       {[](std::size_t n, Block& b) {
          return call("cuMemAllocAsync_ptsz", &b.pointer, n, stream());
        },
        freeAsync}},
      {"pool",
       {[](std::size_t n, Block& b) {
          return call("cuMemAllocFromPoolAsync", &b.pointer, n, ownPool(), stream());
        },
        freeAsync}},
      {"pool-ptsz",
       {[](std::size_t n, Block& b) {
          return call("cuMemAllocFromPoolAsync_ptsz", &b.pointer, n, ownPool(), stream());
        },
        freeAsync}},
      {"create",
       {takeCreated, [](const Block& b, std::size_t) { call("cuMemRelease", b.handle); }}},
      {"map", {takeMapped, giveMapped}},
      {"array", {takeArray, giveArray}},
      {"array3d", {takeSolid, giveArray}},
      {"mipmap", {takeMipmap, giveMipmap}},
      {"graph", {takeGraph, giveGraph}},
      {"graph-node", {takeGraphNode, giveGraph}},
      {"graph-capture", {takeCaptured, giveGraph}}};
  return all;
}

void settle() {
  call("cuStreamSynchronize", stream());
  call("cuCtxSynchronize");
  call("cuDeviceGraphMemTrim", 0);
}

}  // namespace

int fillPath(const std::string& path, std::size_t block) {
  const auto found = paths().find(path);
  if (found == paths().end()) return 2;
  std::vector<Block> blocks;
  int status = 0;
  while (true) {
    Block next;
    status = found->second.take(block, next);
    if (status != cuda::kSuccess) break;
    blocks.push_back(next);
  }
  say("blocks %zu", blocks.size());
  say("status %d", status);
  // Half way, what was freed can be had again.
  if (!blocks.empty()) {
    found->second.give(blocks.back(), block);
    settle();
    say("again %d", found->second.take(block, blocks.back()));
  }
  for (const Block& each : blocks) found->second.give(each, block);
  settle();
  say("freed 0");
  char byte;
  while (read(0, &byte, 1) > 0) {
  }
  return 0;
}

int churn(unsigned long long rounds) {
  // Two kinds that answer for most calls, and all others now and then.
  const std::vector<std::string> rare = {"pitch", "managed", "pool",    "create",
                                         "map",   "array",   "array3d", "mipmap"};
  const Path &plain = paths().at("plain"), &async = paths().at("async");
  for (unsigned long long i = 0; i < rounds; ++i) {
    const bool isRare = i % 64 == 0;
    const Path& path = isRare ? paths().at(rare[i / 64 % rare.size()]) : i % 2 ? async : plain;
    const std::size_t bytes = isRare ? std::size_t{2} << 20 : 4096 + i % 100'000;
    Block block;
    if (const int status = path.take(bytes, block)) return say("failed %d", status), 1;
    path.give(block, bytes);
    if (i % 512 == 511) call("cuStreamSynchronize", stream());
  }
  settle();
  say("rounds %llu", rounds);
  char byte;
  while (read(0, &byte, 1) > 0) {
  }
  return 0;
}

}  // namespace okibi::bypass
