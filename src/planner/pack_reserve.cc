#include "planner/pack_reserve.h"

#include <algorithm>
#include <cmath>

namespace okibi::planner {
namespace {

// A card's worth of room that nobody else may take, in cards, and how much sooner room gets cheap
// than plenty.
constexpr double kDearest = 0.7, kSteepness = 4;

std::int64_t howMany(const PackNode& node, const TypicalDemand& demand) {
  const std::vector<std::string>& models = demand.models;
  if (!models.empty() && std::ranges::find(models, node.model) == models.end()) return 0;
  std::int64_t count = 0;
  if (demand.cards > 1) {
    const auto fits = [&](std::int64_t card) { return card >= demand.perCard; };
    count = std::ranges::count_if(node.cards, fits) / demand.cards;
  } else {
    for (std::int64_t card : node.cards) count += card / demand.perCard;
  }
  if (demand.cpu > 0) count = std::min(count, node.cpu / demand.cpu);
  if (demand.memory > 0) count = std::min(count, node.memory / demand.memory);
  return count;
}

std::vector<PackNode> distinct(std::span<const PackNode> nodes) {
  std::vector<PackNode> distinct;
  for (const PackNode& node : nodes) {
    if (std::ranges::find(distinct, node) == distinct.end()) distinct.push_back(node);
  }
  return distinct;
}

std::vector<bool> takersOf(const TypicalDemand& demand, const std::vector<PackNode>& nodes) {
  std::vector<bool> takers;
  for (const PackNode& node : nodes) takers.push_back(howMany(node, demand) > 0);
  return takers;
}

double cardsOf(const TypicalDemand& demand) {
  return static_cast<double>(demand.cards * demand.perCard) / kWholeCard;
}

}  // namespace

PackReserve::PackReserve(std::span<const PackNode> nodes, std::span<const TypicalDemand> typical) {
  sortIntoKinds(nodes, typical);
  for (const PackNode& node : nodes) {
    free_ += static_cast<double>(node.freeCards()) / kWholeCard;
    for (const auto& [kind, cards] : roomIn(node)) kinds_[kind].room += cards;
  }
  setPrices();
}

PackReserve::Kind& PackReserve::kindOf(const TypicalDemand& demand,
                                       const std::vector<PackNode>& different) {
  std::vector<bool> takers = takersOf(demand, different);
  const auto kind = std::ranges::find_if(
      kinds_, [&](const Kind& k) { return k.takers == takers && k.cards == demand.cards; });
  if (kind != kinds_.end()) return *kind;
  std::vector<std::string> models;
  for (std::size_t i = 0; i < different.size(); ++i) {
    if (takers[i] && std::ranges::find(models, different[i].model) == models.end()) {
      models.push_back(different[i].model);
    }
  }
  return kinds_.emplace_back(Kind{std::move(takers), std::move(models), demand.cards, {}});
}

void PackReserve::sortIntoKinds(std::span<const PackNode> nodes,
                                std::span<const TypicalDemand> typical) {
  const std::vector<PackNode> different = distinct(nodes);
  double all = 0;
  for (const TypicalDemand& demand : typical) {
    const double asked = demand.share * cardsOf(demand);
    all += asked;
    if (asked <= 0 || (demand.cards < 2 && demand.models.empty())) continue;
    Kind& kind = kindOf(demand, different);
    kind.members.push_back({demand, asked});
    kind.share += asked;
  }
  for (Kind& kind : kinds_) {
    for (Member& member : kind.members) member.weight /= kind.share;
    kind.share /= all;
  }
}

PackReserve::Room PackReserve::roomIn(const PackNode& node) const {
  Room room;
  for (std::size_t i = 0; i < kinds_.size(); ++i) {
    const auto& models = kinds_[i].models;
    if (std::ranges::find(models, node.model) == models.end()) continue;
    double cards = 0;
    for (const Member& member : kinds_[i].members) {
      const auto count = static_cast<double>(howMany(node, member.demand));
      cards += member.weight * count * cardsOf(member.demand);
    }
    if (cards > 0) room.emplace_back(static_cast<std::uint16_t>(i), cards);
  }
  return room;
}

PackReserve::Room PackReserve::lost(const Room& before, const Room& after) {
  Room lost;
  auto left = after.begin();
  for (const auto& [kind, cards] : before) {
    while (left != after.end() && left->first < kind) ++left;
    const double gone = left != after.end() && left->first == kind ? cards - left->second : cards;
    if (gone != 0) lost.emplace_back(kind, gone);
  }
  return lost;
}

void PackReserve::take(std::int64_t cards, const Room& lost) {
  free_ -= static_cast<double>(cards) / kWholeCard;
  for (const auto& [kind, gone] : lost) kinds_[kind].room -= gone;
  setPrices();
}

// What is still to come of a kind is taken to be its share of what is free.
void PackReserve::setPrices() {
  for (Kind& kind : kinds_) {
    const double wanted = kind.share * free_;
    const double need = kind.room > wanted ? wanted / kind.room : 1;
    kind.price = kDearest * std::pow(need, kSteepness);
  }
}

double PackReserve::price(const Room& room) const {
  double sum = 0;
  for (const auto& [kind, cards] : room) sum += kinds_[kind].price * cards;
  return sum;
}

}  // namespace okibi::planner
