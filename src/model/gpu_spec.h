#pragma once
// GPU specifications: Function Compute's card types (Function Compute: GPU instances) and what one
// machine really has.

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/units.h"

namespace okibi {

// A kind of card, as Function Compute names it.
struct CardType {
  std::string_view name;  // "fc.gpu.tesla.1"
  Bytes memory;           // of one card
  int maxCardsPerInstance;
};

std::span<const CardType> cardTypes();
const CardType* findCardType(std::string_view name);  // nullptr: unknown; accepts the alias "g1"

// What a function asks for: a slice of one card, by memory; the compute share follows in
// proportion.
struct GpuConfig {
  std::string type;
  Bytes memory;  // whole GiB, from 1
  bool operator==(const GpuConfig&) const = default;
};

enum class CardOrigin { Physical, Simulated };

// A card of this machine. A simulated card has memory on paper only and is labelled so wherever it
// appears.
struct Card {
  CardId id;
  std::string uuid;  // "GPU-…" or "SIM-0"
  std::string type;
  Bytes memory;
  CardOrigin origin = CardOrigin::Physical;
};

// What `gpu` takes of one of `cards`. All the memory that a type has on paper means a whole card,
// although the driver keeps a part of it: then the slice is what the smallest card of the type has.
Bytes sliceOf(const GpuConfig& gpu, std::span<const Card> cards);

}  // namespace okibi
