#pragma once
// When will an idle instance be wanted again? A model shared by all functions, learned online from
// every idle time, whoever's it was; its size is constant (about 80 KB). For each step of an idle
// time (idle_steps.h) it gives the chance that the instance is wanted within it: a logistic sum of
// the cells of a few coarse tables, each indexed by two or three signs of the function's history,
// and of a few smooth traits whose first weights make it sane before anything is learned.

#include <array>
#include <cstdint>
#include <limits>
#include <vector>

#include "planner/arrival_history.h"

namespace okibi::planner {

class ReturnModel {
 public:
  static constexpr std::size_t kTables = 10, kTraits = kMemories + 3;
  // What the model sees of one step of one idle time.
  struct Signs {
    std::array<std::uint16_t, kTables> cells{};
    std::array<float, kTraits> traits{};
  };

  ReturnModel();

  // A request has come, to whatever function.
  void countArrival(Instant now);
  // `outlook`: as of the moment at which the idle time reaches the step's first edge.
  Signs read(const Outlook& outlook, std::size_t step) const;
  double chance(const Signs& signs) const;
  // The step is over: it was wanted within it, or not.
  void learn(const Signs& signs, bool wanted);
  struct Look {
    Signs signs;
    // The most returns per second of holding it that any number of further steps promises.
    double worth = 0;
  };
  // `enough`: a worth beyond it need not be exact.
  Look look(const Outlook& outlook, std::size_t step,
            double enough = std::numeric_limits<double>::infinity()) const;

 private:
  struct Weight {
    float value = 0, slope = 0;  // squared slopes, summed: large steps first, then smaller ones
  };
  // An outlook with what all steps ahead have in common.
  struct View {
    const Outlook& outlook;
    std::size_t step;
    double hour;  // of the day
    std::size_t crowd, between;
    std::array<double, 49> requestsUntil;  // the function's, from midnight on
  };
  View viewOf(const Outlook& outlook, std::size_t step) const;
  static Signs read(const View& view, std::size_t ahead);
  double crowd(Instant now) const;

  std::vector<Weight> cells_;
  std::array<Weight, kTraits> traits_{};
  // Requests of all functions, with forgetting: half an hour, two days.
  double recent_ = 0, usual_ = 0;
  Instant countedAt_, firstAt_;
  bool any_ = false;
};

}  // namespace okibi::planner
