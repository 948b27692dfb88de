#pragma once
// What of a node's free resources will be lost. For the most part: filled with demands for cards as
// they come, averaged over a few fixed orders of arrival, what is left over of its cards, CPU and
// memory? So CPU or memory that would run out before the cards counts early, and so does CPU that a
// node with few cards will not need while others lack it. A node is filled with no more than a few
// times what it has room for: rare small demands that would close its gaps are not all its own.
// For a small part: what the very next demand could not use (fragmentation, as FGD measures it).

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "planner/packing.h"

namespace okibi::planner {

class PackForesight {
 public:
  // `nodes`: all, as they are when empty.
  PackForesight(std::span<const PackNode> nodes, std::span<const TypicalDemand> typical);

  // Thousandths of a card that a node like this is expected to lose; CPU and memory that will be
  // left over count a little, by what a card's worth of demands takes of them. Kept by node state;
  // one thread.
  double loss(const PackNode& node);

 private:
  struct State {
    std::int64_t cpu = 0, memory = 0;
    std::size_t model = 0;
    std::vector<std::int64_t> cards;  // sorted
    bool operator==(const State&) const = default;
  };
  struct StateHash {
    std::size_t operator()(const State& state) const;
  };
  std::size_t modelIndex(const std::string& model) const;
  void dealOrders();
  double lostNow(const State& state) const;
  double lostWhenFilled(const State& state) const;
  // In thousandths of a card.
  double spareWorth(std::int64_t cpu, std::int64_t memory) const;

  std::vector<TypicalDemand> typical_;
  std::vector<std::string> models_;
  std::vector<std::vector<bool>> admitted_;         // by typical demand and model
  std::vector<std::vector<std::uint16_t>> orders_;  // of arrival, of typical demands
  double cardShare_ = 0;                            // of the demands, those for cards
  double cardsPerDemand_ = 0;                       // thousandths, mean of those
  double cpuPerCard_ = 0, memoryPerCard_ = 0;       // asked for with a thousandth of a card, mean
  std::unordered_map<State, double, StateHash> known_;
};

}  // namespace okibi::planner
