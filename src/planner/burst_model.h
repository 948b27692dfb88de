#pragma once
// Will one instance more than now be wanted at once, and how soon? A model shared by all functions,
// learned online from requests that left nobody free: when, after each, one more was wanted. Like
// the return model (return_model.h) a logistic sum of the cells of a few coarse tables, one such
// sum for each step of the time after the request. Its size is constant (about 200 KB).

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "planner/arrival_history.h"

namespace okibi::planner {

class BurstModel {
 public:
  static constexpr std::size_t kSteps = 10, kTables = 9;
  // Levels of concurrency that are told apart: 1, 2, 3 busy, and more.
  static constexpr std::size_t kLevels = 4;
  // Seconds after the request. After the last nobody looks any more.
  static constexpr std::array<double, kSteps + 1> kEdges{0,   8,   16,   32,   64,  128,
                                                         256, 512, 1024, 2048, 4096};
  // Where the model looks in its tables.
  using Signs = std::array<std::uint16_t, kTables>;
  // The chance, in each step, that one more is wanted in it for the first time.
  using Course = std::array<double, kSteps>;

  // How often, after requests that made so many busy, one more was wanted: of one function, for one
  // level; forgets.
  struct Rate {
    float seen = 0, came = 0;
    void count(bool more);
  };
  // What is known when a request has left none of `level` instances free.
  struct Sight {
    std::size_t level = 1;
    const Outlook& atLeast;  // of so many busy at once, this request included
    const Outlook& more;     // of one more
    double gap = 0;          // seconds since the function's request before
    std::size_t open = 0;    // requests that are watched already
    Rate rate;
  };

  BurstModel();

  static Signs read(const Sight& sight);
  Course course(const Signs& signs) const;
  // The step is over: one more was wanted in it, or not.
  void learn(const Signs& signs, std::size_t step, bool wanted);

 private:
  struct Weight {
    float value = 0, slope = 0;  // squared slopes, summed
  };
  double chance(const Signs& signs, std::size_t step) const;

  std::vector<Weight> cells_;  // of each cell, its steps one after the other
};

// One request, watched from when it came until one more instance is wanted.
struct BurstWatch {
  Instant since;
  std::size_t level = 0, step = 0;
  BurstModel::Signs signs{};
};

}  // namespace okibi::planner
