#include "daemon/cards.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/log.h"
#include "gpu/driver_card_giver.h"
#include "gpu/nvml_inventory.h"
#include "gpu/simulated_cards.h"

namespace okibi::daemon {

std::unique_ptr<seams::GpuInventory> openInventory(const Config& config,
                                                   std::vector<Card> simulated) {
  if (!simulated.empty()) {
    log::info("cards are simulated", "cards={}", simulated.size());
    return std::make_unique<gpu::SimulatedInventory>(std::move(simulated));
  }
  gpu::NvmlOptions options;
  options.library = config.nvmlLibrary;
  options.rules = config.cardTypes;
  auto inventory = gpu::NvmlInventory::open(std::move(options));
  if (!inventory) {
    const auto level =
        inventory.error().kind == ErrorKind::NotFound ? log::Level::Info : log::Level::Warning;
    log::write(level, "no NVIDIA cards", fmt::format("reason=\"{}\"", inventory.error().message));
    return std::make_unique<gpu::SimulatedInventory>(std::vector<Card>{});
  }
  for (const seams::CardFacts& facts : (*inventory)->describe().cards) {
    log::info("card", "uuid={} name=\"{}\" type={} memory_gb={}", facts.card.uuid, facts.name,
              facts.card.type, facts.card.memory.wholeGib());
  }
  return std::move(*inventory);
}

Result<std::unique_ptr<seams::CardGiver>> openGiver(const Config& config,
                                                    const seams::GpuInventory& inventory,
                                                    const std::filesystem::path& stateDirectory) {
  const std::vector<seams::CardFacts>& cards = inventory.describe().cards;
  const bool real = std::ranges::any_of(cards, [](const seams::CardFacts& facts) {
    return facts.card.origin == CardOrigin::Physical;
  });
  // A plain process sees the host as it is: there is nothing to give it.
  if (!real || config.runtime == "process") return nullptr;
  gpu::GiverOptions options;
  options.directory = stateDirectory / "gpu";
  options.cdiDirectories = config.cdiDirectories;
  options.perContext = config.gpuContext;
  if (config.shim == "none") {
    log::warning("slices are not enforced", "reason=\"shim: none\"");
  } else {
    options.shim = config.shim.empty() ? besideThisProgram("libokibi_shim.so")
                                       : std::filesystem::path(config.shim);
  }
  auto giver = gpu::DriverCardGiver::create(std::move(options), cards);
  if (!giver) return fail(giver.error());
  return std::make_unique<gpu::DriverCardGiver>(std::move(*giver));
}

std::filesystem::path besideThisProgram(std::string_view name) {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / name;
}

}  // namespace okibi::daemon
