#include "model.h"

#include <algorithm>
#include <cmath>

namespace batching {
namespace {

// splitmix64: the same numbers with every standard library.
class Weights {
 public:
  explicit Weights(uint64_t seed) : state_(seed) {}

  std::vector<float> draw(size_t rows, size_t columns) {
    const float scale = 2.0F / std::sqrt(static_cast<float>(columns));
    std::vector<float> weights(rows * columns);
    for (float& weight : weights) weight = (uniform() - 0.5F) * scale;
    return weights;
  }

 private:
  float uniform() {
    uint64_t z = state_ += 0x9E3779B97F4A7C15U;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return static_cast<float>((z ^ (z >> 31)) >> 40) * 0x1p-24F;
  }

  uint64_t state_;
};

void softmax(Output& values) {
  const float top = *std::ranges::max_element(values);
  float sum = 0;
  for (float& value : values) sum += value = std::exp(value - top);
  for (float& value : values) value /= sum;
}

}  // namespace

Model::Model(uint64_t seed) {
  Weights weights(seed);
  first_ = weights.draw(kHidden, kInputs);
  second_ = weights.draw(kOutputs, kHidden);
}

std::vector<Output> Model::run(std::span<const Input> batch) const {
  std::vector<Output> outputs(batch.size(), Output{});
  for (size_t hidden = 0; hidden < kHidden; ++hidden) {
    const float* row = &first_[hidden * kInputs];
    for (size_t item = 0; item < batch.size(); ++item) {
      float sum = 0;
      for (size_t i = 0; i < kInputs; ++i) sum += row[i] * batch[item][i];
      const float active = std::max(sum, 0.0F);
      for (size_t o = 0; o < kOutputs; ++o)
        outputs[item][o] += second_[o * kHidden + hidden] * active;
    }
  }
  for (Output& output : outputs) softmax(output);
  return outputs;
}

}  // namespace batching
