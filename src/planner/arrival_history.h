#pragma once
// What is remembered of one function's arrivals: bounded, about 400 bytes. It is kept per level of
// concurrency, because the instance that is third in line is wanted when three are busy at once,
// whatever becomes of the first two.

#include <array>
#include <cstddef>
#include <optional>

#include "base/units.h"

namespace okibi::planner {

inline constexpr std::size_t kMemories = 5;
// Seconds after which a count has forgotten two thirds.
inline constexpr std::array<double, kMemories> kMemory{600, 3600, 14400, 86400, 345600};

// What there is to say, at some moment, about when an instance will be wanted again.
struct Outlook {
  Instant now;
  std::size_t rank = 0;  // how many stand before it: busy, or to be taken first
  // Seconds since so many were last wanted at once, and between the last two times.
  double since = 0, between = 0;
  double sinceAny = 0;                     // since the function's last request
  std::array<double, kMemories> counts{};  // how often, with forgetting
  std::array<double, 24> hours{};          // requests of the function by hour, per day
};

class ArrivalHistory {
 public:
  static constexpr std::size_t kLevels = 8;

  // A request has come; `level`: how many instances are then wanted at once, if it needs one that
  // was not busy.
  void count(Instant now, std::optional<std::size_t> level);
  Outlook outlook(Instant now, std::size_t rank) const;
  std::optional<Instant> last() const { return any_ ? std::optional(last_) : std::nullopt; }

 private:
  struct Level {
    Instant last;
    float between = 0;  // seconds; 0: it was reached once or never
    std::array<float, kMemories> counts{};
  };
  std::array<Level, kLevels> levels_{};  // [0]: one at once; reached, not exceeded
  std::array<float, 24> hours_{};
  Instant first_, last_, hoursAt_;
  bool any_ = false;
};

}  // namespace okibi::planner
