#pragma once
// Placing demands of card fractions or several cards, CPU and memory on nodes: a pure function of
// the free resources. Fragmentation is what of the free card time the typical demands could not
// use ("Beware of Fragmentation", ATC'23, FGD).

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/random.h"

namespace okibi::planner {

// Thousandths of a card.
inline constexpr std::int64_t kWholeCard = 1000;

struct PackDemand {
  std::int64_t cpu = 0, memory = 0;  // thousandths of a core; any unit, as the nodes'
  int cards = 0;
  std::int64_t perCard = 0;         // thousandths; whole cards when there are several
  std::vector<std::string> models;  // allowed ones; empty: any

  std::int64_t cardTotal() const { return cards * perCard; }
  bool operator==(const PackDemand&) const = default;
};

struct PackNode {
  std::int64_t cpu = 0, memory = 0;  // free
  std::vector<std::int64_t> cards;   // free of each, thousandths
  std::string model;

  bool admits(const PackDemand& demand) const;
  std::int64_t freeCards() const;
  bool operator==(const PackNode&) const = default;
};

// A demand shape and how often it is met.
struct TypicalDemand {
  std::int64_t cpu = 0;
  int cards = 0;
  std::int64_t perCard = 0;
  double share = 0;
  // Heard by PackPolicy::Okibi only
  std::vector<std::string> models;  // allowed ones; empty: any
  std::int64_t memory = 0;
};

enum class PackPolicy {
  Random,
  BestFit,  // least CPU and cards left
  Fgd,      // least growth of fragmentation, in whole points of a hundred, first node of equals
  Okibi,    // least growth of what the node will lose (PackForesight) and of what demands that
            // cannot go anywhere lose (PackReserve)
};

class PackForesight;
class PackReserve;

class Packer {
 public:
  Packer(std::vector<PackNode> nodes, std::vector<TypicalDemand> typical, PackPolicy policy,
         std::uint64_t seed);
  ~Packer();

  // Places the demand and takes it from the node's free resources; false: it fits nowhere.
  bool place(const PackDemand& demand);
  std::span<const PackNode> nodes() const { return nodes_; }
  // Thousandths of a card, over all nodes.
  double fragmentation() const;

 private:
  using Room = std::vector<std::pair<std::uint16_t, double>>;  // as PackReserve's
  struct Spot {
    double score = 0;
    int card = -1;  // of a fraction
    Room lost;      // PackPolicy::Okibi, by kind of demand; its price changes
  };
  // What a node is before it takes a demand.
  struct Before {
    double loss = 0;
    Room room;
  };
  struct Choice {
    std::size_t node = 0;
    Spot spot;
  };
  struct Scored {
    std::uint32_t version = 0;  // of the node it was computed for; 0: not yet
    std::vector<Spot> spots;    // where on the node the demand fits
  };
  double fragmentationOf(const PackNode& node) const;
  double lossOf(const PackNode& node);
  std::vector<Spot> judge(const PackNode& node, const PackDemand& demand);
  Spot judgeCard(const PackNode& node, const PackDemand& demand, int card, const Before& before);
  double score(const PackNode& after, double before);
  static void take(PackNode& node, const PackDemand& demand, int card);
  std::optional<Choice> pick(const PackDemand& demand);
  std::optional<Choice> pickAny(const PackDemand& demand);
  std::vector<Scored>& cacheFor(const PackDemand& demand);

  std::vector<PackNode> nodes_;
  std::vector<std::uint32_t> versions_;
  const std::vector<TypicalDemand> typical_;
  const PackPolicy policy_;
  Random random_;
  // PackPolicy::Okibi
  std::unique_ptr<PackForesight> foresight_;
  std::unique_ptr<PackReserve> reserve_;
  double mostCpu_ = 1, mostCards_ = 1;
  std::unordered_map<std::string, std::vector<Scored>> cache_;  // by shape
};

}  // namespace okibi::planner
