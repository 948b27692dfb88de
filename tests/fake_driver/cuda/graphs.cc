// Modules, launches, graphs and stream capture. A launch does its work at once and is then a time
// span on its stream.

#include <algorithm>
#include <cctype>
#include <cstring>

#include <sys/mman.h>

#include "fake_driver/cuda/driver.h"

namespace okibi::fake {
namespace {

using cuda::DevicePtr;
using cuda::Status;

struct Entry {
  std::string name;
  std::vector<std::size_t> parameterBytes;
};

struct ModuleBody {
  std::map<std::string, Entry> entries;
};

// Bytes of a PTX parameter type: ".u64", ".f32".
std::size_t bytesOfType(const std::string& text, std::size_t at) {
  const std::size_t dot = text.find('.', at + 1);
  const std::size_t digits = text.find_first_of("0123456789", dot);
  return static_cast<std::size_t>(std::stoul(text.substr(digits))) / 8;
}

// ".entry NAME( .param .u64 a, .param .u32 b )"
std::map<std::string, Entry> entriesOf(const std::string& ptx) {
  std::map<std::string, Entry> entries;
  for (std::size_t at = ptx.find(".entry"); at != std::string::npos;
       at = ptx.find(".entry", at + 1)) {
    std::size_t begin = at + 6;
    while (std::isspace(static_cast<unsigned char>(ptx[begin]))) ++begin;
    const std::size_t open = ptx.find_first_of(" (\n", begin), close = ptx.find(')', begin);
    Entry entry{.name = ptx.substr(begin, open - begin), .parameterBytes = {}};
    for (std::size_t param = ptx.find(".param", begin); param < close;
         param = ptx.find(".param", param + 1))
      entry.parameterBytes.push_back(bytesOfType(ptx, param));
    entries[entry.name] = entry;
  }
  return entries;
}

struct ExecBody {
  std::vector<std::shared_ptr<Node>> nodes;
  int device = 0;
};

// What the driver keeps for allocations of graphs, per device.
struct Kept {
  std::uint64_t reserved = 0, used = 0;
  std::map<std::uint64_t, std::uint64_t> mapped;  // address, bytes
  std::map<std::uint64_t, std::uint64_t> live;    // not freed since their last launch
};

Kept& kept(int device) {
  static std::map<int, Kept> all;
  return all[device];
}

GraphBody* graphBody(cuda::Graph graph) {
  return reinterpret_cast<GraphBody*>(graph);
}

std::shared_ptr<Node> add(GraphBody& graph, int type) {
  graph.nodes.push_back(std::make_shared<Node>());
  graph.nodes.back()->type = type;
  return graph.nodes.back();
}

// Gives a node's addresses memory, at its first launch or after a trim.
Status back(Kept& memory, int device, const Node& node) {
  const std::uint64_t bytes = rounded(node.alloc.bytesize, 4096);
  if (!memory.mapped.contains(node.alloc.dptr)) {
    if (!takeMemory(device, bytes)) return cuda::kOutOfMemory;
    mprotect(reinterpret_cast<void*>(node.alloc.dptr), bytes, PROT_READ | PROT_WRITE);
    memory.mapped[node.alloc.dptr] = bytes;
    memory.reserved += bytes;
  }
  if (memory.live.emplace(node.alloc.dptr, bytes).second) memory.used += bytes;
  return cuda::kSuccess;
}

void unuse(Kept& memory, std::uint64_t address) {
  const auto found = memory.live.find(address);
  if (found == memory.live.end()) return;
  memory.used -= found->second;
  memory.live.erase(found);
}

Status runNodes(const std::vector<std::shared_ptr<Node>>& nodes, int device,
                std::int64_t* busyUntil) {
  for (const auto& node : nodes) {
    if (node->type == cuda::kNodeMemAlloc) {
      if (const Status refused = back(kept(device), device, *node)) return refused;
    } else if (node->type == cuda::kNodeMemFree) {
      unuse(kept(device), node->freed);
    } else if (node->child) {
      if (const Status refused = runNodes(node->child->nodes, device, busyUntil)) return refused;
    } else if (node->run) {
      node->run(busyUntil, device);
    }
  }
  return cuda::kSuccess;
}

Status launch(cuda::GraphExec exec, cuda::Stream stream) {
  Context* context = nullptr;
  if (const Status refused = enterContext(&context)) return refused;
  const std::lock_guard guard(driverMutex());
  const auto* body = reinterpret_cast<ExecBody*>(exec);
  return runNodes(body->nodes, context->device, &busyUntilOf(stream));
}

Status upload(cuda::GraphExec exec) {
  Context* context = nullptr;
  if (const Status refused = enterContext(&context)) return refused;
  const std::lock_guard guard(driverMutex());
  for (const auto& node : reinterpret_cast<ExecBody*>(exec)->nodes) {
    if (node->type != cuda::kNodeMemAlloc) continue;
    if (const Status refused = back(kept(context->device), context->device, *node)) return refused;
    unuse(kept(context->device), node->alloc.dptr);
  }
  return cuda::kSuccess;
}

Status instantiate(cuda::GraphExec* out, cuda::Graph graph) {
  if (const Status refused = enter()) return refused;
  *out = reinterpret_cast<cuda::GraphExec>(
      new ExecBody{.nodes = graphBody(graph)->nodes, .device = 0});
  return cuda::kSuccess;
}

std::vector<std::uint64_t> copied(const Entry& entry, void** parameters) {
  std::vector<std::uint64_t> values;
  for (std::size_t i = 0; i < entry.parameterBytes.size(); ++i) {
    std::uint64_t value = 0;
    std::memcpy(&value, parameters[i], std::min<std::size_t>(entry.parameterBytes[i], 8));
    values.push_back(value);
  }
  return values;
}

Status launchKernel(cuda::Function function, void** parameters, cuda::Stream stream) {
  Context* context = nullptr;
  if (const Status refused = enterContext(&context)) return refused;
  const std::lock_guard guard(driverMutex());
  const Entry& entry = *reinterpret_cast<Entry*>(function);
  const auto run = [name = entry.name, values = copied(entry, parameters)](std::int64_t* busyUntil,
                                                                           int device) {
    *busyUntil = occupy(device, *busyUntil, runKernel(name, values));
  };
  if (const auto capture = captureOf(stream))
    add(*capture, cuda::kNodeKernel)->run = run;
  else
    run(&busyUntilOf(stream), context->device);
  return cuda::kSuccess;
}

cuda::GraphNode handleOf(const std::shared_ptr<Node>& node) {
  return reinterpret_cast<cuda::GraphNode>(node.get());
}

Node& nodeBody(cuda::GraphNode node) {
  return *reinterpret_cast<Node*>(node);
}

}  // namespace

Status captureAllocation(GraphBody& graph, std::uint64_t bytes, int device, std::uint64_t* out) {
  void* address = mmap(nullptr, rounded(bytes, 4096), PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (address == MAP_FAILED) return cuda::kOutOfMemory;
  const auto node = add(graph, cuda::kNodeMemAlloc);
  node->alloc.poolProps.location = {cuda::kLocationDevice, device};
  node->alloc.bytesize = bytes;
  node->alloc.dptr = reinterpret_cast<std::uint64_t>(address);
  *out = node->alloc.dptr;
  return cuda::kSuccess;
}

void captureFree(GraphBody& graph, std::uint64_t address) {
  add(graph, cuda::kNodeMemFree)->freed = address;
}

OKIBI_FAKE cuModuleLoadData(cuda::Module* out, const void* image) {
  if (const Status refused = enter()) return refused;
  *out = reinterpret_cast<cuda::Module>(new ModuleBody{entriesOf(static_cast<const char*>(image))});
  return cuda::kSuccess;
}
OKIBI_FAKE cuModuleLoadDataEx(cuda::Module* out, const void* image, unsigned, void*, void*) {
  return cuModuleLoadData(out, image);
}
OKIBI_FAKE cuModuleUnload(cuda::Module module) {
  delete reinterpret_cast<ModuleBody*>(module);
  return cuda::kSuccess;
}
OKIBI_FAKE cuModuleGetFunction(cuda::Function* out, cuda::Module module, const char* name) {
  auto& entries = reinterpret_cast<ModuleBody*>(module)->entries;
  const auto found = entries.find(name);
  if (found == entries.end()) return cuda::kNotFound;
  *out = reinterpret_cast<cuda::Function>(&found->second);
  return cuda::kSuccess;
}

OKIBI_FAKE cuLaunchKernel(cuda::Function function, unsigned, unsigned, unsigned, unsigned, unsigned,
                          unsigned, unsigned, cuda::Stream stream, void** parameters, void**) {
  noteVariant("cuLaunchKernel");
  return launchKernel(function, parameters, stream);
}
OKIBI_FAKE cuLaunchKernel_ptsz(cuda::Function function, unsigned, unsigned, unsigned, unsigned,
                               unsigned, unsigned, unsigned, cuda::Stream stream, void** parameters,
                               void**) {
  noteVariant("cuLaunchKernel_ptsz");
  return launchKernel(function, parameters, stream);
}
OKIBI_FAKE cuLaunchKernelEx(const cuda::LaunchConfig* config, cuda::Function function,
                            void** parameters, void**) {
  return launchKernel(function, parameters, config->stream);
}

OKIBI_FAKE cuStreamBeginCapture_v2(cuda::Stream stream, int) {
  if (reinterpret_cast<std::uintptr_t>(stream) <= 2) return cuda::kInvalidValue;
  reinterpret_cast<Stream*>(stream)->capture = std::make_shared<GraphBody>();
  return cuda::kSuccess;
}
OKIBI_FAKE cuStreamEndCapture(cuda::Stream stream, cuda::Graph* out) {
  auto& capture = reinterpret_cast<Stream*>(stream)->capture;
  if (!capture) return cuda::kIllegalState;
  *out = reinterpret_cast<cuda::Graph>(new GraphBody(*capture));
  capture.reset();
  return cuda::kSuccess;
}

OKIBI_FAKE cuStreamIsCapturing(cuda::Stream stream, int* state) {
  *state = captureOf(stream) ? 1 : 0;
  return cuda::kSuccess;
}
OKIBI_FAKE cuStreamIsCapturing_ptsz(cuda::Stream stream, int* state) {
  return cuStreamIsCapturing(stream, state);
}

OKIBI_FAKE cuGraphCreate(cuda::Graph* out, unsigned) {
  *out = reinterpret_cast<cuda::Graph>(new GraphBody);
  return cuda::kSuccess;
}
OKIBI_FAKE cuGraphDestroy(cuda::Graph graph) {
  delete graphBody(graph);
  return cuda::kSuccess;
}
OKIBI_FAKE cuGraphAddMemAllocNode(cuda::GraphNode* out, cuda::Graph graph, const cuda::GraphNode*,
                                  std::size_t, cuda::AllocNodeParams* params) {
  GraphBody& body = *graphBody(graph);
  if (const Status refused =
          captureAllocation(body, params->bytesize, params->poolProps.location.id, &params->dptr))
    return refused;
  *out = handleOf(body.nodes.back());
  return cuda::kSuccess;
}
OKIBI_FAKE cuGraphAddMemFreeNode(cuda::GraphNode* out, cuda::Graph graph, const cuda::GraphNode*,
                                 std::size_t, DevicePtr pointer) {
  captureFree(*graphBody(graph), pointer);
  *out = handleOf(graphBody(graph)->nodes.back());
  return cuda::kSuccess;
}
OKIBI_FAKE cuGraphAddChildGraphNode(cuda::GraphNode* out, cuda::Graph graph, const cuda::GraphNode*,
                                    std::size_t, cuda::Graph child) {
  const auto node = add(*graphBody(graph), cuda::kNodeChildGraph);
  node->child = std::make_shared<GraphBody>(*graphBody(child));
  *out = handleOf(node);
  return cuda::kSuccess;
}
OKIBI_FAKE cuGraphAddNode(cuda::GraphNode* out, cuda::Graph graph, const cuda::GraphNode*,
                          std::size_t, cuda::GraphNodeParams* params) {
  if (params->type == cuda::kNodeMemAlloc)
    return cuGraphAddMemAllocNode(out, graph, nullptr, 0, &params->alloc);
  if (params->type == cuda::kNodeMemFree)
    return cuGraphAddMemFreeNode(out, graph, nullptr, 0, params->freed);
  if (params->type == cuda::kNodeChildGraph)
    return cuGraphAddChildGraphNode(out, graph, nullptr, 0, params->child);
  return cuda::kNotSupported;
}
OKIBI_FAKE cuGraphAddNode_v2(cuda::GraphNode* out, cuda::Graph graph, const cuda::GraphNode*,
                             const void*, std::size_t, cuda::GraphNodeParams* params) {
  return cuGraphAddNode(out, graph, nullptr, 0, params);
}
OKIBI_FAKE cuGraphGetNodes(cuda::Graph graph, cuda::GraphNode* nodes, std::size_t* count) {
  const auto& all = graphBody(graph)->nodes;
  if (!nodes) {
    *count = all.size();
    return cuda::kSuccess;
  }
  *count = std::min(*count, all.size());
  for (std::size_t i = 0; i < *count; ++i) nodes[i] = handleOf(all[i]);
  return cuda::kSuccess;
}
OKIBI_FAKE cuGraphNodeGetType(cuda::GraphNode node, int* type) {
  *type = nodeBody(node).type;
  return cuda::kSuccess;
}
OKIBI_FAKE cuGraphMemAllocNodeGetParams(cuda::GraphNode node, cuda::AllocNodeParams* params) {
  *params = nodeBody(node).alloc;
  return cuda::kSuccess;
}
OKIBI_FAKE cuGraphChildGraphNodeGetGraph(cuda::GraphNode node, cuda::Graph* out) {
  *out = reinterpret_cast<cuda::Graph>(nodeBody(node).child.get());
  return *out ? cuda::kSuccess : cuda::kInvalidValue;
}

OKIBI_FAKE cuGraphInstantiate(cuda::GraphExec* out, cuda::Graph graph, cuda::GraphNode*, char*,
                              std::size_t) {
  return instantiate(out, graph);
}
OKIBI_FAKE cuGraphInstantiate_v2(cuda::GraphExec* out, cuda::Graph graph, cuda::GraphNode*, char*,
                                 std::size_t) {
  return instantiate(out, graph);
}
OKIBI_FAKE cuGraphInstantiateWithFlags(cuda::GraphExec* out, cuda::Graph graph,
                                       unsigned long long) {
  return instantiate(out, graph);
}
OKIBI_FAKE cuGraphInstantiateWithParams(cuda::GraphExec* out, cuda::Graph graph, void*) {
  return instantiate(out, graph);
}
OKIBI_FAKE cuGraphInstantiateWithParams_ptsz(cuda::GraphExec* out, cuda::Graph graph, void*) {
  return instantiate(out, graph);
}
OKIBI_FAKE cuGraphLaunch(cuda::GraphExec exec, cuda::Stream stream) {
  return launch(exec, stream);
}
OKIBI_FAKE cuGraphLaunch_ptsz(cuda::GraphExec exec, cuda::Stream stream) {
  return launch(exec, stream);
}
OKIBI_FAKE cuGraphUpload(cuda::GraphExec exec, cuda::Stream) {
  return upload(exec);
}
OKIBI_FAKE cuGraphUpload_ptsz(cuda::GraphExec exec, cuda::Stream) {
  return upload(exec);
}
OKIBI_FAKE cuGraphExecDestroy(cuda::GraphExec exec) {
  const std::lock_guard guard(driverMutex());
  delete reinterpret_cast<ExecBody*>(exec);
  return cuda::kSuccess;
}

OKIBI_FAKE cuDeviceGetGraphMemAttribute(int device, int attribute, void* value) {
  const std::lock_guard guard(driverMutex());
  *static_cast<std::uint64_t*>(value) =
      attribute == cuda::kGraphMemUsed ? kept(device).used : kept(device).reserved;
  return cuda::kSuccess;
}

OKIBI_FAKE cuDeviceGraphMemTrim(int device) {
  const std::lock_guard guard(driverMutex());
  Kept& memory = kept(device);
  std::erase_if(memory.mapped, [&](const auto& mapped) {
    if (memory.live.contains(mapped.first)) return false;
    mmap(reinterpret_cast<void*>(mapped.first), mapped.second, PROT_NONE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
    returnMemory(device, mapped.second);
    memory.reserved -= mapped.second;
    return true;
  });
  return cuda::kSuccess;
}

}  // namespace okibi::fake
