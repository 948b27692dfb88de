#pragma once
// HoldingPrice: what a GB of memory held for a second must be worth, so that holding all that is
// worth it spends what a given rule would have spent on the same idle times. Found from what has
// been: for each second of a past idle time, what holding it seemed worth then. Constant in size.

#include <array>
#include <cstddef>

namespace okibi::planner {

class HoldingPrice {
 public:
  // A part of an idle time is over. `worth`: the least that holding it seemed worth up to then;
  // `gibSeconds` of it in all, what the rule would have held, and what was held.
  void count(double worth, double gibSeconds, double rule, double held);
  // One was wanted: what having let it go would have cost, in starts, had it been held by this
  // price, and by the rule; zero where it would have been there.
  void compare(double lost, double lostByRule);
  // Whether this price has lost less than the rule: until it has proved so, the rule is better.
  bool leads() const { return behind_ <= 0; }
  // An idle time is over, `seconds` after the last: what was counted before weighs a little less.
  void fade(double seconds);
  // Starts per GiB and second; below it nothing is held.
  double price() const { return price_; }

 private:
  static constexpr std::size_t kBins = 400;
  static constexpr double kDoubt = 5;  // starts that have to be won first
  static std::size_t binOf(double worth);
  void solve();
  void rescale();

  std::array<double, kBins> worths_{};  // GiB·s by what they seemed worth
  double rule_ = 0, held_ = 0;
  double behind_ = kDoubt;  // starts lost beyond the rule's; fades
  double weight_ = 1;       // of what is counted now
  double price_ = 0;
  int untilSolved_ = 0;
};

}  // namespace okibi::planner
