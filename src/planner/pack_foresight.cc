#include "planner/pack_foresight.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/random.h"

namespace okibi::planner {
namespace {

constexpr std::size_t kOrders = 64, kArrivals = 40;
constexpr std::uint64_t kOrderSeed = 99;
constexpr double kNowWeight = 0.1;      // of what the next demand could not use
constexpr double kSpareWeight = 0.05;   // of CPU and of memory left over, by cards' worth
constexpr double kOffered = 8;          // to a node, of what it has room for
constexpr std::size_t kMost = 200'000;  // states remembered, about 30 MB

std::int64_t sum(const std::vector<std::int64_t>& values) {
  return std::accumulate(values.begin(), values.end(), std::int64_t{0});
}

// Takes the demand from the free resources, a fraction from the fullest card it fits on; false: it
// does not fit.
bool takeIfFits(const TypicalDemand& demand, std::int64_t& cpu, std::int64_t& memory,
                std::vector<std::int64_t>& cards) {
  if (demand.cpu > cpu || demand.memory > memory) return false;
  if (demand.cards == 1) {
    auto best = cards.end();
    for (auto card = cards.begin(); card != cards.end(); ++card) {
      if (*card >= demand.perCard && (best == cards.end() || *card < *best)) best = card;
    }
    if (best == cards.end()) return false;
    *best -= demand.perCard;
  } else if (demand.cards > 1) {
    const auto fits = [&](std::int64_t card) { return card >= demand.perCard; };
    if (std::ranges::count_if(cards, fits) < demand.cards) return false;
    int wanted = demand.cards;
    for (std::int64_t& card : cards) {
      if (wanted == 0) break;
      if (!fits(card)) continue;
      card -= demand.perCard;
      --wanted;
    }
  }
  cpu -= demand.cpu;
  memory -= demand.memory;
  return true;
}

}  // namespace

std::size_t PackForesight::StateHash::operator()(const State& state) const {
  std::uint64_t hash = state.model;
  const auto mix = [&hash](std::int64_t value) {
    hash = (hash ^ static_cast<std::uint64_t>(value)) * 0x9E37'79B9'7F4A'7C15;
    hash ^= hash >> 29;
  };
  mix(state.cpu);
  mix(state.memory);
  for (std::int64_t card : state.cards) mix(card);
  return hash;
}

PackForesight::PackForesight(std::span<const PackNode> nodes,
                             std::span<const TypicalDemand> typical)
    : typical_(typical.begin(), typical.end()) {
  for (const PackNode& node : nodes) {
    if (modelIndex(node.model) == models_.size()) models_.push_back(node.model);
  }
  for (const TypicalDemand& demand : typical_) {
    std::vector<bool>& admitted = admitted_.emplace_back();
    for (const std::string& model : models_) {
      admitted.push_back(demand.models.empty() ||
                         std::ranges::find(demand.models, model) != demand.models.end());
    }
    if (demand.cards > 0) cardShare_ += demand.share;
    cardsPerDemand_ += demand.share * static_cast<double>(demand.cards * demand.perCard);
    cpuPerCard_ += demand.share * static_cast<double>(demand.cpu);
    memoryPerCard_ += demand.share * static_cast<double>(demand.memory);
  }
  if (cardsPerDemand_ > 0) {
    cpuPerCard_ /= cardsPerDemand_;
    memoryPerCard_ /= cardsPerDemand_;
    cardsPerDemand_ /= cardShare_;
  }
  dealOrders();
}

// Linear: there are few models. models_.size(): unknown.
std::size_t PackForesight::modelIndex(const std::string& model) const {
  return static_cast<std::size_t>(std::ranges::find(models_, model) - models_.begin());
}

// Each demand for cards comes as often as its share says, spread evenly over the orders; only where
// in its order it comes is drawn. Demands without cards are left out: they take what is spare, and
// would count as taking it only while a card is free.
void PackForesight::dealOrders() {
  std::vector<std::uint16_t> deck;
  double due = 0.5;
  for (std::size_t i = 0; i < typical_.size(); ++i) {
    if (typical_[i].cards == 0) continue;
    for (due += typical_[i].share / cardShare_ * kOrders * kArrivals; due >= 1; --due) {
      deck.push_back(static_cast<std::uint16_t>(i));
    }
  }
  orders_.resize(kOrders);
  for (std::size_t i = 0; i < deck.size(); ++i) orders_[i % kOrders].push_back(deck[i]);
  Random random(kOrderSeed);
  for (auto& order : orders_) {
    for (std::size_t i = order.size(); i > 1; --i) {
      const auto other = random.between(0, static_cast<std::int64_t>(i) - 1);
      std::swap(order[i - 1], order[static_cast<std::size_t>(other)]);
    }
  }
}

double PackForesight::lostNow(const State& state) const {
  const auto free = static_cast<double>(sum(state.cards));
  double lost = 0;
  for (std::size_t i = 0; i < typical_.size(); ++i) {
    const TypicalDemand& demand = typical_[i];
    const auto fits = [&](std::int64_t card) { return card >= demand.perCard; };
    if (demand.cards == 0 || !admitted_[i][state.model] || state.cpu < demand.cpu ||
        state.memory < demand.memory || std::ranges::count_if(state.cards, fits) < demand.cards) {
      lost += demand.share * free;
      continue;
    }
    for (std::int64_t card : state.cards) {
      if (!fits(card)) lost += demand.share * static_cast<double>(card);
    }
  }
  return lost;
}

double PackForesight::lostWhenFilled(const State& state) const {
  const double room = static_cast<double>(sum(state.cards)) / std::max(cardsPerDemand_, 1.0);
  const auto offered = static_cast<std::size_t>(std::ceil(kOffered * room));
  std::int64_t left = 0, spareCpu = 0, spareMemory = 0;
  std::vector<std::int64_t> cards;
  for (const auto& order : orders_) {
    std::int64_t cpu = state.cpu, memory = state.memory;
    cards = state.cards;
    std::int64_t free = sum(cards);
    for (std::uint16_t i : std::span(order).first(std::min(offered, order.size()))) {
      const TypicalDemand& demand = typical_[i];
      const std::int64_t wanted = demand.cards * demand.perCard;
      if (wanted > free || !admitted_[i][state.model]) continue;
      if (takeIfFits(demand, cpu, memory, cards)) free -= wanted;
      if (free == 0) break;
    }
    left += free;
    spareCpu += cpu;
    spareMemory += memory;
  }
  return (static_cast<double>(left) + spareWorth(spareCpu, spareMemory)) / kOrders;
}

double PackForesight::spareWorth(std::int64_t cpu, std::int64_t memory) const {
  double worth = 0;
  if (cpuPerCard_ > 0) worth += static_cast<double>(cpu) / cpuPerCard_;
  if (memoryPerCard_ > 0) worth += static_cast<double>(memory) / memoryPerCard_;
  return kSpareWeight * worth;
}

double PackForesight::loss(const PackNode& node) {
  State state{node.cpu, node.memory, modelIndex(node.model), node.cards};
  if (state.model == models_.size()) return 0;
  // What is spare on a node without free cards is no less spare.
  if (sum(state.cards) == 0) return (1 - kNowWeight) * spareWorth(state.cpu, state.memory);
  std::ranges::sort(state.cards);
  const auto found = known_.find(state);
  if (found != known_.end()) return found->second;
  const double value = kNowWeight * lostNow(state) + (1 - kNowWeight) * lostWhenFilled(state);
  if (known_.size() >= kMost) known_.clear();
  known_.emplace(std::move(state), value);
  return value;
}

}  // namespace okibi::planner
