#pragma once
// Rhythm: the last pauses of one function, each the time from a request to the next one that found
// the function at rest. Where they repeat (timers, jobs) they tell when an instance is worth being
// there again, so that none need be held until then. About 80 bytes.

#include <array>
#include <cstddef>
#include <optional>

namespace okibi::planner {

class Rhythm {
 public:
  // Shorter pauses are not counted: whatever is held is held through them.
  static constexpr double kShortest = 20;  // seconds

  // When a request is expected, in seconds since the last one.
  struct Window {
    double from = 0, until = 0;  // the instance is to be ready, and given up again
    double chance = 0;           // that the request comes in it, once it has begun
    double worth = 0;            // chance per second of holding it, starting included
  };

  void learn(double pause);
  // The window worth most among those for which an instance that takes `lead` seconds to come need
  // not have been called before `passed`. nullopt: the pauses tell of none.
  std::optional<Window> next(double passed, double lead) const;
  // Chance per second of holding an instance from `passed` on, but not beyond `until`.
  double worthUntil(double passed, double until) const;
  // What a window came to that had promised this chance: its request came before an instance was
  // called for it, in time, or not then. Where windows keep less than they promise, theirs count
  // less.
  enum class Outcome { Early, InTime, Missed };
  void judge(double promised, Outcome outcome);

 private:
  static constexpr std::size_t kPauses = 16;
  using Sorted = std::array<double, kPauses>;
  // Those longer than `passed`, ascending; their number.
  std::size_t after(double passed, Sorted& sorted) const;

  std::array<float, kPauses> pauses_{};
  std::size_t count_ = 0, oldest_ = 0;
  float promised_ = 0, came_ = 0;  // with forgetting
  float judged_ = 0, early_ = 0;   // windows; those of them, with slow forgetting
};

}  // namespace okibi::planner
