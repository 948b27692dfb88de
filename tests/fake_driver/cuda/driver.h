#pragma once
// What the parts of the fake driver share inside one process.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "fake_driver/cuda/machine.h"
#include "shim/cuda_abi.h"

#define OKIBI_FAKE extern "C" __attribute__((visibility("default"))) int

namespace okibi::fake {

// First-fit over a range; addresses are multiples of `step`.
class Heap {
 public:
  Heap(std::uint64_t base, std::uint64_t size) { free_[base] = size; }
  std::uint64_t take(std::uint64_t size);     // 0: nothing fits
  std::uint64_t give(std::uint64_t address);  // its size; 0: not taken from here
  std::uint64_t sizeAt(std::uint64_t address) const;
  // The range that holds `address`.
  std::pair<std::uint64_t, std::uint64_t> rangeOf(std::uint64_t address) const;
  bool empty() const { return taken_.empty(); }

 private:
  std::map<std::uint64_t, std::uint64_t> free_, taken_;
};

inline constexpr std::uint64_t kStep = 512;
inline std::uint64_t rounded(std::uint64_t bytes, std::uint64_t step = kStep) {
  return (bytes + step - 1) / step * step;
}

struct Context {
  int device = 0;
  std::int64_t streamBusyUntilNs = 0;   // its default streams
  std::vector<std::uint64_t> pointers;  // that end with it
};

struct Node;
struct GraphBody {
  std::vector<std::shared_ptr<Node>> nodes;
};

struct Node {
  int type = 0;
  std::function<void(std::int64_t* busyUntil, int device)> run;
  cuda::AllocNodeParams alloc{};
  std::uint64_t freed = 0;
  std::shared_ptr<GraphBody> child;
};

struct Stream {
  std::int64_t busyUntilNs = 0;
  std::shared_ptr<GraphBody> capture;  // not null between begin and end
};

// One lock for everything: the fake is not fast, it is right.
std::recursive_mutex& driverMutex();

// What every call but the first ones passes: initialized, not a fork's child, not stopped by a
// checkpoint.
cuda::Status enter();
// ...and a current context.
cuda::Status enterContext(Context** context);
Context* currentContextOrNull();

// Device memory. The address is also the host's: device memory is host memory.
cuda::Status allocateOn(int device, std::uint64_t bytes, std::uint64_t* address);
bool releaseFrom(std::uint64_t address);
std::pair<std::uint64_t, std::uint64_t> rangeAt(std::uint64_t address);
int deviceAt(std::uint64_t address);
int memoryFd();
std::uint64_t memoryBase();

std::int64_t& busyUntilOf(cuda::Stream stream);
// Null when not capturing.
std::shared_ptr<GraphBody> captureOf(cuda::Stream stream);
void waitUntil(std::int64_t ns);
// What the end of waiting does: pools give back what is above their threshold.
void releasePools();

cuda::Status poolAllocate(std::uint64_t* out, std::uint64_t bytes, cuda::Pool pool);
// False: not of a pool.
bool poolFree(std::uint64_t address);

// Memory of graph nodes.
cuda::Status captureAllocation(GraphBody& graph, std::uint64_t bytes, int device,
                               std::uint64_t* out);
void captureFree(GraphBody& graph, std::uint64_t address);

// Does the work of a kernel that the fake knows by name. Returns how long it takes a card, ns.
std::uint64_t runKernel(const std::string& name, const std::vector<std::uint64_t>& arguments);

// Name of the exported variant last entered, for tests of resolving.
void noteVariant(const char* name);

}  // namespace okibi::fake
