#pragma once
// The few functions of the CUDA driver that this program needs, found at run time: the library
// belongs to the machine's driver, and comes into a container from outside.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace matmul {

// c = a * b for n x n matrices, row by row.
class Gpu {
 public:
  // Opens the driver and prepares card 0. On failure problem() says why, in words for whoever runs
  // the function.
  Gpu();
  Gpu(const Gpu&) = delete;
  Gpu& operator=(const Gpu&) = delete;

  bool ready() const { return problem_.empty(); }
  const std::string& problem() const { return problem_; }
  const std::string& name() const { return name_; }

  struct Memory {
    std::size_t free = 0, total = 0;
  };
  Memory memory();

  // False: failed, and error says what the driver answered ("cuMemAlloc_v2:
  // CUDA_ERROR_OUT_OF_MEMORY").
  bool multiply(std::uint32_t n, const std::vector<float>& a, const std::vector<float>& b,
                std::vector<float>& c, std::string& error);

 private:
  using Pointer = std::uint64_t;

  template <class... A>
  bool call(const char* function, A... arguments);
  std::string describe(const char* function, int status);
  bool prepare();
  bool run(std::uint32_t n, const std::vector<float>& a, const std::vector<float>& b,
           std::vector<float>& c, const Pointer (&memory)[3]);

  void* library_ = nullptr;
  void* kernel_ = nullptr;
  std::string name_, problem_, failure_;
};

}  // namespace matmul
