#pragma once
// What a node's free cards will be worth: a judgement of its free resources by the demands that are
// to be expected. It sees three things: what of the free card time the next demand could not use
// (fragmentation, as FGD measures it); what is left over when the node is filled with demands as
// they come, averaged over a few fixed orders of arrival (so that CPU or memory which would run out
// before the cards counts early); and room for demands of several whole cards.

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

  // Thousandths of a card that a node like this is expected to lose, less what its whole cards are
  // worth to those who need several. Kept by node state; one thread.
  double loss(const PackNode& node);
  // How far the demands that need this model would fill its cards: 1 when they take all.
  double pressure(const std::string& model) const;

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
  void measurePressure(std::span<const PackNode> nodes);
  double lostNow(const State& state) const;
  double leftWhenFilled(const State& state) const;
  double wholeCardWorth(const State& state) const;

  std::vector<TypicalDemand> typical_;
  std::vector<std::string> models_;
  std::vector<std::vector<bool>> admitted_;         // by typical demand and model
  std::vector<std::vector<std::uint16_t>> orders_;  // of arrival, of typical demands
  std::vector<double> pressures_;                   // by model
  double cardShares_ = 0;                           // cards asked for by a typical demand, mean
  std::unordered_map<State, double, StateHash> known_;
};

}  // namespace okibi::planner
