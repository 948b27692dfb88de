// Graphs that allocate: the driver gives their nodes memory at a launch or an upload, keeps it per
// device, and says how much that is (CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT). What an executable
// graph may need at most is counted when it is made, from its nodes, however they came there (node
// calls, stream capture, child graphs).

#include <stdlib.h>

#include "shim/allocation.h"

namespace okibi::shim {
namespace {

constexpr int kMaxNesting = 16;

std::uint64_t allocatedBy(cuda::Graph graph, int nesting);

std::uint64_t allocatedBy(cuda::GraphNode node, int nesting) {
  int type = -1;
  if (call<"cuGraphNodeGetType">(node, &type) != cuda::kSuccess) return 0;
  if (type == cuda::kNodeMemAlloc) {
    cuda::AllocNodeParams params{};
    const bool known = call<"cuGraphMemAllocNodeGetParams">(node, &params) == cuda::kSuccess;
    return known ? budget::unitsOf(params.bytesize) : 0;
  }
  cuda::Graph child = nullptr;
  if (type != cuda::kNodeChildGraph || nesting == kMaxNesting) return 0;
  if (call<"cuGraphChildGraphNodeGetGraph">(node, &child) != cuda::kSuccess) return 0;
  return allocatedBy(child, nesting + 1);
}

std::uint64_t allocatedBy(cuda::Graph graph, int nesting) {
  std::size_t count = 0;
  if (call<"cuGraphGetNodes">(graph, static_cast<cuda::GraphNode*>(nullptr), &count) !=
      cuda::kSuccess)
    return 0;
  auto* nodes = static_cast<cuda::GraphNode*>(calloc(count + 1, sizeof(cuda::GraphNode)));
  if (!nodes) return budget::kMaxUnits;  // no launch will fit
  std::uint64_t units = 0;
  if (call<"cuGraphGetNodes">(graph, nodes, &count) == cuda::kSuccess) {
    for (std::size_t i = 0; i < count; ++i) units += allocatedBy(nodes[i], nesting);
  }
  free(nodes);
  return units;
}

cuda::Status made(const cuda::GraphExec* exec, cuda::Graph graph, cuda::Status status) {
  if (status != cuda::kSuccess) return status;
  const std::uint64_t units = allocatedBy(graph, 0);
  const int card = currentCard();
  if (!units || card < 0) return status;
  remember({.key = reinterpret_cast<std::uint64_t>(*exec),
            .units = units,
            .context = 0,
            .other = 0,
            .kind = Kind::Exec,
            .card = static_cast<std::uint8_t>(card),
            .flags = 0,
            .references = 1});
  __atomic_fetch_add(&ledger().execs, 1u, __ATOMIC_RELAXED);
  return status;
}

template <Name N>
cuda::Status instantiateV1(cuda::GraphExec* exec, cuda::Graph graph, cuda::GraphNode* error,
                           char* log, std::size_t logBytes) {
  const Entry entry;
  const cuda::Status status = call<N>(exec, graph, error, log, logBytes);
  return entry.nested() ? status : made(exec, graph, status);
}

template <Name N>
cuda::Status instantiateWithFlags(cuda::GraphExec* exec, cuda::Graph graph,
                                  unsigned long long flags) {
  const Entry entry;
  const cuda::Status status = call<N>(exec, graph, flags);
  return entry.nested() ? status : made(exec, graph, status);
}

template <Name N>
cuda::Status instantiateWithParams(cuda::GraphExec* exec, cuda::Graph graph, void* params) {
  const Entry entry;
  const cuda::Status status = call<N>(exec, graph, params);
  return entry.nested() ? status : made(exec, graph, status);
}

std::uint64_t attribute(cuda::Device device, int which) {
  std::uint64_t value = 0;
  const cuda::Status status =
      call<"cuDeviceGetGraphMemAttribute">(device, which, static_cast<void*>(&value));
  return status == cuda::kSuccess ? value : 0;
}

// Needs the pool lock.
void trueUp(cuda::Device device, int card) {
  GraphMemory& kept = ledger().graphs[card];
  const std::uint64_t real = budget::unitsOf(attribute(device, cuda::kGraphMemReserved));
  if (real > kept.units)
    chargeRegardless(card, real - kept.units);
  else
    giveBack(card, kept.units - real);
  kept.units = real;
}

// `make` uploads or launches.
template <class Make>
cuda::Status withMemory(cuda::GraphExec exec, Make make) {
  if (__atomic_load_n(&ledger().execs, __ATOMIC_RELAXED) == 0) return make();
  std::uint64_t most = 0;
  {
    const Guard guard(ledger().lock);
    if (const Record* record =
            ledger().table.find(Kind::Exec, reinterpret_cast<std::uint64_t>(exec)))
      most = record->units;
  }
  if (!most) return make();
  cuda::Device device = 0;
  const int card = currentCard();
  call<"cuCtxGetDevice">(&device);
  const Guard guard(ledger().poolLock);
  const std::uint64_t reserved = attribute(device, cuda::kGraphMemReserved);
  const std::uint64_t used = attribute(device, cuda::kGraphMemUsed);
  const std::uint64_t idle = reserved > used ? (reserved - used) / budget::kUnit : 0;
  const std::uint64_t growth = most > idle ? most - idle : 0;
  if (const cuda::Status refused = charge(card, growth)) return refused;
  ledger().graphs[card].units += growth;
  const cuda::Status status = make();
  trueUp(device, card);
  return status;
}

template <Name N>
cuda::Status graphRun(cuda::GraphExec exec, cuda::Stream stream) {
  const Entry entry;
  if (entry.nested()) return call<N>(exec, stream);
  return withMemory(exec, [&] { return call<N>(exec, stream); });
}

template <Name N>
cuda::Status execDestroy(cuda::GraphExec exec) {
  const Entry entry;
  const cuda::Status status = call<N>(exec);
  if (entry.nested() || status != cuda::kSuccess) return status;
  if (take(Kind::Exec, reinterpret_cast<std::uint64_t>(exec)).kind != Kind::None)
    __atomic_fetch_sub(&ledger().execs, 1u, __ATOMIC_RELAXED);
  return status;
}

template <Name N>
cuda::Status memTrim(cuda::Device device) {
  const Entry entry;
  const cuda::Status status = call<N>(device);
  const int card = entry.nested() ? -1 : cardOf(device);
  if (card < 0) return status;
  const Guard guard(ledger().poolLock);
  trueUp(device, card);
  return status;
}

const Hook kHooks[] = {
    OKIBI_HOOK("cuGraphInstantiate", instantiateV1, 10000),
    OKIBI_HOOK("cuGraphInstantiate_v2", instantiateV1, 11000),
    OKIBI_HOOK_ALIASED("cuGraphInstantiateWithFlags", instantiateWithFlags, 11040,
                       "cuGraphInstantiate", 12000),
    OKIBI_HOOK("cuGraphInstantiateWithParams", instantiateWithParams, 12000),
    OKIBI_HOOK("cuGraphInstantiateWithParams_ptsz", instantiateWithParams, 12000),
    OKIBI_HOOK("cuGraphLaunch", graphRun, 10000),
    OKIBI_HOOK("cuGraphLaunch_ptsz", graphRun, 10000),
    OKIBI_HOOK("cuGraphUpload", graphRun, 11010),
    OKIBI_HOOK("cuGraphUpload_ptsz", graphRun, 11010),
    OKIBI_HOOK("cuGraphExecDestroy", execDestroy, 10000),
    OKIBI_HOOK("cuDeviceGraphMemTrim", memTrim, 11040),
    OKIBI_WANTED("cuGraphGetNodes"),
    OKIBI_WANTED("cuGraphNodeGetType"),
    OKIBI_WANTED("cuGraphMemAllocNodeGetParams"),
    OKIBI_WANTED("cuGraphChildGraphNodeGetGraph"),
    OKIBI_WANTED("cuDeviceGetGraphMemAttribute"),
};

}  // namespace

HookList graphHooks() {
  return {kHooks, sizeof kHooks / sizeof *kHooks};
}

}  // namespace okibi::shim
