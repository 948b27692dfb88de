#pragma once
// What nodes are worth to demands that cannot go anywhere: those of several whole cards, and those
// that insist on a model. Room for them is dear when little of it is left beside what is still to
// come of them, and free while there is plenty. Demands that different nodes could take, be it for
// the model or for CPU and memory that few have, are different kinds: room for one is none for
// another.

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "planner/packing.h"

namespace okibi::planner {

class PackReserve {
 public:
  // Room in cards, by kind of demand (those for equally many cards that the same nodes could take
  // if they were empty); kinds without room are left out.
  using Room = std::vector<std::pair<std::uint16_t, double>>;

  // `nodes`: all, as they are when empty.
  PackReserve(std::span<const PackNode> nodes, std::span<const TypicalDemand> typical);

  // What each kind could take of a node if nobody else came.
  Room roomIn(const PackNode& node) const;
  // By kind, what there is in `before` and not in `after`.
  static Room lost(const Room& before, const Room& after);
  // A demand of so many thousandths of a card went to a node, and this room with it.
  void take(std::int64_t cards, const Room& lost);
  // Of room, by what there is of it now, in cards.
  double price(const Room& room) const;

 private:
  struct Member {
    TypicalDemand demand;
    double weight = 0;  // by the cards asked for; the kind's sum to 1
  };
  struct Kind {
    std::vector<bool> takers;         // of the nodes that differ when empty
    std::vector<std::string> models;  // of those
    int cards = 1;
    std::vector<Member> members;
    double share = 0;  // of all cards asked for
    double room = 0;   // in all nodes
    double price = 0;  // of a card
  };
  void sortIntoKinds(std::span<const PackNode> nodes, std::span<const TypicalDemand> typical);
  Kind& kindOf(const TypicalDemand& demand, const std::vector<PackNode>& different);
  void setPrices();

  std::vector<Kind> kinds_;
  double free_ = 0;  // cards, in all nodes
};

}  // namespace okibi::planner
