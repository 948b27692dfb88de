#include "gpu/simulated_cards.h"

#include <charconv>

#include <fmt/format.h>

#include "base/check.h"
#include "base/encoding.h"

namespace okibi::gpu {
namespace {

constexpr int kMost = 1024;

std::string knownTypes() {
  std::string names;
  for (const CardType& type : cardTypes()) {
    if (!names.empty()) names += ", ";
    names += type.name;
  }
  return names;
}

}  // namespace

Result<std::vector<Card>> parseSimulatedCards(std::string_view text, std::uint64_t firstId) {
  std::vector<Card> cards;
  if (text.empty()) return cards;
  for (std::string_view part : split(text, ',')) {
    const std::size_t equals = part.find('=');
    const std::string_view name = trim(part.substr(0, equals));
    const std::string_view number =
        equals == std::string_view::npos ? "1" : trim(part.substr(equals + 1));
    const CardType* type = findCardType(name);
    if (type == nullptr) {
      return fail(ErrorKind::Invalid,
                  fmt::format("simulated-cards: '{}' is not one of {}", name, knownTypes()));
    }
    int count = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), count);
    if (error != std::errc() || end != number.data() + number.size() || count < 1 ||
        count + static_cast<int>(cards.size()) > kMost) {
      return fail(ErrorKind::Invalid,
                  fmt::format("simulated-cards: '{}' is not a number of cards from 1 to {}", number,
                              kMost));
    }
    for (int i = 0; i < count; ++i) {
      const std::uint64_t id = firstId + cards.size();
      cards.push_back({CardId(id), fmt::format("SIM-{}", id), std::string(type->name), type->memory,
                       CardOrigin::Simulated});
    }
  }
  return cards;
}

SimulatedInventory::SimulatedInventory(std::vector<Card> cards) {
  for (Card& card : cards) {
    OKIBI_CHECK(card.origin == CardOrigin::Simulated, "card {}", card.uuid);
    seams::CardFacts facts;
    facts.name = "simulated " + card.type;
    facts.total = card.memory;
    facts.card = std::move(card);
    cards_.cards.push_back(std::move(facts));
  }
}

Result<seams::GpuUse> SimulatedInventory::use() {
  seams::GpuUse use;
  for (const seams::CardFacts& facts : cards_.cards) {
    use.cards.push_back({.card = facts.card.id, .used = {}, .busyPercent = std::nullopt});
  }
  return use;
}

Result<void> SimulatedInventory::capMemory(CardId, int, Bytes) {
  return fail(ErrorKind::Unavailable, "simulated cards have no memory limits");
}

Result<std::optional<seams::GpuEvent>> SimulatedInventory::waitForEvent(Duration) {
  return fail(ErrorKind::Unavailable, "simulated cards have no events");
}

}  // namespace okibi::gpu
