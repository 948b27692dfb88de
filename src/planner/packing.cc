#include "planner/packing.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "planner/pack_foresight.h"
#include "planner/pack_reserve.h"

namespace okibi::planner {
namespace {

bool isFraction(const PackDemand& demand) {
  return demand.cards == 1 && demand.perCard < kWholeCard;
}

bool fits(const std::vector<std::int64_t>& cards, int wanted, std::int64_t perCard) {
  return std::ranges::count_if(cards, [&](std::int64_t free) { return free >= perCard; }) >= wanted;
}

}  // namespace

bool PackNode::admits(const PackDemand& demand) const {
  if (cpu < demand.cpu || memory < demand.memory) return false;
  if (demand.cards == 0) return true;
  if (!demand.models.empty() && std::ranges::find(demand.models, model) == demand.models.end()) {
    return false;
  }
  return fits(cards, demand.cards, demand.perCard);
}

std::int64_t PackNode::freeCards() const {
  return std::accumulate(cards.begin(), cards.end(), std::int64_t{0});
}

Packer::Packer(std::vector<PackNode> nodes, std::vector<TypicalDemand> typical, PackPolicy policy,
               std::uint64_t seed)
    : nodes_(std::move(nodes)),
      versions_(nodes_.size(), 1),
      typical_(std::move(typical)),
      policy_(policy),
      random_(seed) {
  for (const PackNode& node : nodes_) {
    mostCpu_ = std::max(mostCpu_, static_cast<double>(node.cpu));
    mostCards_ = std::max(mostCards_, static_cast<double>(node.freeCards()));
  }
  if (policy == PackPolicy::Okibi) {
    foresight_ = std::make_unique<PackForesight>(nodes_, typical_);
    reserve_ = std::make_unique<PackReserve>(nodes_, typical_);
  }
}

Packer::~Packer() = default;

double Packer::fragmentationOf(const PackNode& node) const {
  const auto free = static_cast<double>(node.freeCards());
  double sum = 0;
  for (const TypicalDemand& typical : typical_) {
    if (typical.cards == 0 || node.cpu < typical.cpu ||
        !fits(node.cards, typical.cards, typical.perCard)) {
      sum += typical.share * free;
      continue;
    }
    for (std::int64_t card : node.cards) {
      if (card < typical.perCard) sum += typical.share * static_cast<double>(card);
    }
  }
  return sum;
}

double Packer::fragmentation() const {
  double sum = 0;
  for (const PackNode& node : nodes_) sum += fragmentationOf(node);
  return sum;
}

void Packer::take(PackNode& node, const PackDemand& demand, int card) {
  node.cpu -= demand.cpu;
  node.memory -= demand.memory;
  if (card >= 0) {
    node.cards[static_cast<std::size_t>(card)] -= demand.perCard;
    return;
  }
  int wanted = demand.cards;
  for (std::int64_t& free : node.cards) {
    if (wanted == 0) break;
    if (free < demand.perCard) continue;
    free -= demand.perCard;
    --wanted;
  }
}

// What is to grow as little as possible.
double Packer::lossOf(const PackNode& node) {
  if (policy_ == PackPolicy::BestFit) return 0;
  return foresight_ ? foresight_->loss(node) : fragmentationOf(node);
}

double Packer::score(const PackNode& after, double before) {
  if (policy_ == PackPolicy::BestFit) {
    const double room = 0.5 * static_cast<double>(after.cpu) / mostCpu_ +
                        0.5 * static_cast<double>(after.freeCards()) / mostCards_;
    return std::floor(100 * (1 - room));
  }
  const double growth = (lossOf(after) - before) / kWholeCard;
  return policy_ == PackPolicy::Fgd ? std::floor(100 / (1 + std::exp(growth))) : -growth;
}

Packer::Spot Packer::judgeCard(const PackNode& node, const PackDemand& demand, int card,
                               const Before& before) {
  PackNode after = node;
  take(after, demand, card);
  Spot spot{score(after, before.loss), card, {}};
  if (reserve_) spot.lost = PackReserve::lost(before.room, reserve_->roomIn(after));
  return spot;
}

// REQUIRES: the node admits the demand.
std::vector<Packer::Spot> Packer::judge(const PackNode& node, const PackDemand& demand) {
  const Before before{lossOf(node), reserve_ ? reserve_->roomIn(node) : Room()};
  if (!isFraction(demand)) return {judgeCard(node, demand, -1, before)};
  std::vector<Spot> spots;
  std::vector<std::int64_t> seen;  // equally full cards are one spot
  for (std::size_t i = 0; i < node.cards.size(); ++i) {
    const std::int64_t free = node.cards[i];
    if (free < demand.perCard || std::ranges::find(seen, free) != seen.end()) continue;
    // All cards of a node are equal to BestFit: it takes the fullest.
    const bool fuller = seen.empty() || free < std::ranges::min(seen);
    seen.push_back(free);
    if (policy_ == PackPolicy::BestFit && !fuller) continue;
    if (policy_ == PackPolicy::BestFit) spots.clear();
    spots.push_back(judgeCard(node, demand, static_cast<int>(i), before));
  }
  return spots;
}

std::vector<Packer::Scored>& Packer::cacheFor(const PackDemand& demand) {
  const std::string shape = fmt::format("{} {} {} {} {}", demand.cpu, demand.memory, demand.cards,
                                        demand.perCard, fmt::join(demand.models, "|"));
  std::vector<Scored>& scores = cache_[shape];
  scores.resize(nodes_.size());
  return scores;
}

std::optional<Packer::Choice> Packer::pickAny(const PackDemand& demand) {
  std::optional<Choice> any;
  std::int64_t seen = 0;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].admits(demand) && random_.between(0, seen++) == 0) any = Choice{i, {}};
  }
  if (!any || !isFraction(demand)) return any;
  seen = 0;
  const std::vector<std::int64_t>& cards = nodes_[any->node].cards;
  for (std::size_t i = 0; i < cards.size(); ++i) {
    if (cards[i] < demand.perCard || random_.between(0, seen++) != 0) continue;
    any->spot.card = static_cast<int>(i);
  }
  return any;
}

// The first of equals.
std::optional<Packer::Choice> Packer::pick(const PackDemand& demand) {
  if (policy_ == PackPolicy::Random) return pickAny(demand);
  std::vector<Scored>& scores = cacheFor(demand);
  const Spot* best = nullptr;
  std::size_t node = 0;
  double most = 0;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    Scored& scored = scores[i];
    if (scored.version != versions_[i]) {
      scored.spots = nodes_[i].admits(demand) ? judge(nodes_[i], demand) : std::vector<Spot>();
      scored.version = versions_[i];
    }
    for (const Spot& spot : scored.spots) {
      const double score = reserve_ ? spot.score - reserve_->price(spot.lost) : spot.score;
      if (best && score <= most) continue;
      best = &spot;
      most = score;
      node = i;
    }
  }
  return best ? std::optional(Choice{node, *best}) : std::nullopt;
}

bool Packer::place(const PackDemand& demand) {
  const auto choice = pick(demand);
  if (!choice) return false;
  take(nodes_[choice->node], demand, choice->spot.card);
  if (reserve_) reserve_->take(demand.cardTotal(), choice->spot.lost);
  ++versions_[choice->node];
  return true;
}

}  // namespace okibi::planner
