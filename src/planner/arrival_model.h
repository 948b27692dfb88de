#pragma once
// What is known of idle times over all functions: how long it takes, after an instance became idle,
// until it is wanted again. Learned online; constant in size. From it follows how long an instance
// is kept on its card and how long in host memory.
//
// Idle times are told apart by what was true when they began: the function's rate over an hour and
// over a day, the time of day, and whether other instances of the function were busy. For each such
// class the model holds how often the wait fell into which of the bins that grow by the square root
// of two. A class with little experience leans on all others.
//
// The budget is that of a fixed rule (on card until T1, then parked until T2): the price of a
// second on the card, and of a second parked, is the one at which the choices of all classes
// together spend what the rule would have spent on the same idle times. So the policy never costs
// more than the rule it is given, and puts the same time where it serves more requests.

#include <array>
#include <cstdint>
#include <vector>

#include "base/units.h"

namespace okibi::planner {

// Requests of one function, counted with a forgetting that has the time constants below.
struct Rates {
  float hour = 0, day = 0;
  Instant at;

  void count(Instant now);
};

class ArrivalModel {
 public:
  using Class = std::uint16_t;
  // The fixed rule whose budget is to be kept; equal when nothing is parked.
  struct Rule {
    Duration onCard, kept;
  };
  struct Choice {
    Duration onCard, kept;
    double worth = 0;  // the chance that it is wanted again while it is kept
  };

  ArrivalModel();

  static Class classOf(const Rates& rates, Instant now, bool othersBusy);
  // `cost`: what a start of the function costs, relative to the others'.
  Choice choose(Class idleClass, const Rule& rule, double cost) const;
  // An idle time has ended; the instance was kept by `choice`. It was wanted again after `idle`.
  void learnWanted(Class idleClass, Duration idle, const Choice& choice, const Rule& rule);
  // It was given up.
  void learnGivenUp(Class idleClass, const Choice& choice, const Rule& rule);
  // One that was given up would have been wanted after `idle`.
  void correct(Class idleClass, Duration idle, const Rule& rule);

 private:
  static constexpr std::size_t kBins = 36;
  static constexpr std::size_t kClasses = 6 * 6 * 8 * 2;
  struct Counts {
    std::array<float, kBins> bins{};
    float sum = 0;
  };
  // At each bin's upper end: the chance to be wanted by then, and the mean time kept until then.
  struct Curve {
    std::array<float, kBins> chance{}, kept{};
  };

  static double edge(std::size_t bin);
  static std::size_t binOf(double seconds);
  Curve curveOf(const Counts& counts) const;
  // The bin at whose end (value × chance − price × kept) is largest, from bin `least` on.
  static std::size_t best(const Curve& curve, double value, double price, std::size_t least);
  static std::size_t hitBin(Duration idle);
  void count(Class idleClass, std::size_t bin, float change);
  void account(Duration idle, const Choice& choice, const Rule& rule);
  void solve();
  void forget();

  std::vector<Counts> classes_;
  Counts all_;
  // Seconds per idle time, averaged with forgetting: what the rule would have spent, what was
  // spent.
  double ruleCard_ = 0, ruleParked_ = 0, spentCard_ = 0, spentParked_ = 0;
  double cardPrice_ = 0, parkedPrice_ = 0;  // of a second, in starts (or wakes) avoided
  std::size_t floorBin_ = 0;
  std::int64_t learned_ = 0, nextSolve_;
};

}  // namespace okibi::planner
