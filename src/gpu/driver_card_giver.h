#pragma once
// DriverCardGiver: gives NVIDIA cards as the machine's CDI files describe them, or as the driver's
// own files do where there are none, with the shim at the place of the driver's libraries and a
// budget file for each instance. Everything but the budget is made once, at the start.

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "gpu/card_edits.h"
#include "gpu/cdi_registry.h"
#include "seams/card_giver.h"
#include "seams/gpu_inventory.h"

namespace okibi::gpu {

struct GiverOptions {
  std::filesystem::path directory;  // ours; made anew
  std::filesystem::path root = "/";
  std::vector<std::filesystem::path> cdiDirectories{"/etc/cdi", "/var/run/cdi"};  // later wins
  // libokibi_shim.so; nullopt: slices are watched only, by explicit configuration.
  std::optional<std::filesystem::path> shim;
  Bytes perContext;  // charged for each CUDA context
};

class DriverCardGiver final : public seams::CardGiver {
 public:
  // Before the loop runs. A card that cannot be given is logged, and refused when it is asked for.
  // Fails when the directory cannot be made.
  static Result<DriverCardGiver> create(GiverOptions options,
                                        const std::vector<seams::CardFacts>& cards);

  Result<seams::DeviceEdits> give(CardId card, const std::string& instance, Bytes slice) override;
  void takeBack(const std::string& instance) override;

 private:
  explicit DriverCardGiver(GiverOptions options) : options_(std::move(options)) {}
  Result<void> makeDirectory() const;
  Result<seams::DeviceEdits> prepare(const CdiRegistry& registry, const Result<CdiSpec>& driver,
                                     const seams::CardFacts& facts) const;
  Result<DriverProc> makeProc(const seams::CardFacts& facts) const;
  Result<ShimFiles> makeFronts(const seams::DeviceEdits& plain) const;
  std::filesystem::path budgetOf(const std::string& instance) const;

  GiverOptions options_;
  std::map<CardId, Result<seams::DeviceEdits>> cards_;
};

}  // namespace okibi::gpu
