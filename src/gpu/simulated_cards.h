#pragma once
// Simulated cards: memory on paper, for machines without a GPU. Only by explicit configuration,
// labelled CardOrigin::Simulated wherever they appear, and never beside real ones.

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/gpu_spec.h"
#include "seams/gpu_inventory.h"

namespace okibi::gpu {

// "fc.gpu.tesla.1=2,fc.gpu.ada.1=1" → cards with ids from `firstId`. Invalid names the part that is
// wrong; at most 1024 cards.
Result<std::vector<Card>> parseSimulatedCards(std::string_view text, std::uint64_t firstId = 1);

// An inventory of nothing but simulated cards. Nobody uses them and nothing happens to them.
class SimulatedInventory final : public seams::GpuInventory {
 public:
  // REQUIRES: every card's origin is Simulated.
  explicit SimulatedInventory(std::vector<Card> cards);

  const seams::Cards& describe() const override { return cards_; }
  std::string cgroupOf(int) const override { return {}; }
  Result<void> capMemory(CardId card, int pid, Bytes limit) override;
  Result<seams::GpuUse> use() override;
  Result<std::optional<seams::GpuEvent>> waitForEvent(Duration timeout) override;

 private:
  seams::Cards cards_;
};

}  // namespace okibi::gpu
