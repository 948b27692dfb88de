#include "planner/packing.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "planner/pack_foresight.h"

namespace okibi::planner {
namespace {

// What of a card lost the remaining room, the card's fill and the pressure on the model may
// outweigh.
constexpr double kRoomWeight = 0.06, kFillWeight = 0.02, kPressureWeight = 0.7;

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

// `left`: free of the card that takes a fraction, after it; 0 for whole cards.
double Packer::score(const PackNode& after, const PackDemand& demand, double before,
                     std::int64_t left) {
  const double room = 0.5 * static_cast<double>(after.cpu) / mostCpu_ +
                      0.5 * static_cast<double>(after.freeCards()) / mostCards_;
  if (policy_ == PackPolicy::BestFit) return std::floor(100 * (1 - room));
  const double growth = (lossOf(after) - before) / kWholeCard;
  if (policy_ == PackPolicy::Fgd) return std::floor(100 / (1 + std::exp(growth)));
  const double pressed =
      foresight_->pressure(after.model) * static_cast<double>(demand.cardTotal()) / kWholeCard;
  return -growth - kRoomWeight * room - kFillWeight * static_cast<double>(left) / kWholeCard -
         kPressureWeight * pressed;
}

Packer::Spot Packer::judgeCard(const PackNode& node, const PackDemand& demand, int card,
                               double before) {
  PackNode after = node;
  take(after, demand, card);
  const std::int64_t left = card >= 0 ? after.cards[static_cast<std::size_t>(card)] : 0;
  return {score(after, demand, before, left), card};
}

Packer::Spot Packer::judge(const PackNode& node, const PackDemand& demand) {
  const double before = lossOf(node);
  if (demand.cards != 1 || demand.perCard == kWholeCard) {
    return judgeCard(node, demand, -1, before);
  }
  Spot best{-1e300, -1};
  std::int64_t least = 0;
  for (std::size_t i = 0; i < node.cards.size(); ++i) {
    if (node.cards[i] < demand.perCard) continue;
    const Spot spot = judgeCard(node, demand, static_cast<int>(i), before);
    // All cards of a node are equal to BestFit: it takes the fullest.
    const bool fuller = best.card >= 0 && policy_ == PackPolicy::BestFit && node.cards[i] < least;
    if (spot.score <= best.score && !fuller) continue;
    best = spot;
    least = node.cards[i];
  }
  return best;
}

std::vector<Packer::Scored>& Packer::cacheFor(const PackDemand& demand) {
  const std::string shape = fmt::format("{} {} {} {} {}", demand.cpu, demand.memory, demand.cards,
                                        demand.perCard, fmt::join(demand.models, "|"));
  std::vector<Scored>& scores = cache_[shape];
  scores.resize(nodes_.size());
  return scores;
}

std::optional<std::size_t> Packer::pick(const PackDemand& demand, Spot& spot) {
  std::optional<std::size_t> best;
  if (policy_ == PackPolicy::Random) {
    std::int64_t seen = 0;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (nodes_[i].admits(demand) && random_.between(0, seen++) == 0) best = i;
    }
    if (!best || demand.cards != 1 || demand.perCard == kWholeCard) return best;
    seen = 0;
    for (std::size_t i = 0; i < nodes_[*best].cards.size(); ++i) {
      if (nodes_[*best].cards[i] >= demand.perCard && random_.between(0, seen++) == 0) {
        spot.card = static_cast<int>(i);
      }
    }
    return best;
  }
  std::vector<Scored>& scores = cacheFor(demand);
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    Scored& scored = scores[i];
    if (scored.version != versions_[i]) {
      scored.spot = nodes_[i].admits(demand) ? judge(nodes_[i], demand) : Spot{-1e300, -2};
      scored.version = versions_[i];
    }
    if (scored.spot.card == -2 || (best && scored.spot.score <= spot.score)) continue;
    best = i;
    spot = scored.spot;
  }
  return best;
}

bool Packer::place(const PackDemand& demand) {
  Spot spot;
  const auto node = pick(demand, spot);
  if (!node) return false;
  take(nodes_[*node], demand, spot.card);
  ++versions_[*node];
  return true;
}

}  // namespace okibi::planner
