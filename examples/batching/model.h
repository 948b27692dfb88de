#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace batching {

constexpr size_t kInputs = 64;
constexpr size_t kHidden = 256;
constexpr size_t kOutputs = 10;

using Input = std::array<float, kInputs>;
using Output = std::array<float, kOutputs>;

// A perceptron with one hidden layer, its weights drawn from a seed: the same seed gives the same
// answers everywhere.
class Model {
 public:
  explicit Model(uint64_t seed);

  // One pass over the weights for the whole batch: each weight is fetched once, whatever the number
  // of inputs. An input's output does not depend on what else is in the batch.
  std::vector<Output> run(std::span<const Input> batch) const;

 private:
  std::vector<float> first_;   // kHidden rows of kInputs
  std::vector<float> second_;  // kOutputs rows of kHidden
};

}  // namespace batching
