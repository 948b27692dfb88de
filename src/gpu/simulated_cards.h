#pragma once
// Simulated cards: memory on paper, for machines without a GPU. Only by explicit configuration,
// labelled CardOrigin::Simulated wherever they appear.

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/gpu_spec.h"

namespace okibi::gpu {

// "fc.gpu.tesla.1=2,fc.gpu.ada.1=1" → cards with ids from `firstId`. Invalid names the part that is
// wrong; at most 1024 cards.
Result<std::vector<Card>> parseSimulatedCards(std::string_view text, std::uint64_t firstId = 1);

}  // namespace okibi::gpu
