#include "planner/rhythm.h"

#include <algorithm>

namespace okibi::planner {
namespace {

constexpr std::size_t kFewest = 2;   // pauses that make a window
constexpr double kShare = 0.34;      // and of those that may still end: so many have to end in it
constexpr double kMargin = 0.03;     // of a pause, before and after
constexpr double kMarginLeast = 1;   // seconds
constexpr double kTrouble = 10;      // seconds of holding that calling an instance is as bad as
constexpr float kForget = 0.9F;      // what a window that is over leaves of those before
constexpr double kDoubt = 2;         // broken promises that are assumed
constexpr double kLeastTrust = 0.7;  // promises kept: who keeps fewer promises nothing
constexpr float kSlowly = 0.99F;     // as kForget, for requests before their time
constexpr double kUnseen = 0.3;      // of those, that are assumed

double marginOf(double pause) {
  return std::max(kMarginLeast, kMargin * pause);
}

}  // namespace

void Rhythm::learn(double pause) {
  pauses_[oldest_] = static_cast<float>(pause);
  oldest_ = (oldest_ + 1) % kPauses;
  count_ = std::min(count_ + 1, kPauses);
}

std::size_t Rhythm::after(double passed, Sorted& sorted) const {
  std::size_t size = 0;
  for (std::size_t i = 0; i < count_; ++i) {
    if (pauses_[i] > passed) sorted[size++] = pauses_[i];
  }
  std::sort(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(size));
  return size;
}

std::optional<Rhythm::Window> Rhythm::next(double passed, double lead) const {
  Sorted pauses{};
  const std::size_t size = after(passed, pauses);
  const double trust = std::min(1.0, came_ / (promised_ + kDoubt));
  std::optional<Window> best;
  for (std::size_t first = 0; first + kFewest <= size; ++first) {
    const double from = pauses[first] - marginOf(pauses[first]);
    if (from - lead < passed) continue;
    const auto left = static_cast<double>(size - first);
    double waited = 0;  // of those in the window, for the request
    for (std::size_t last = first; last < size; ++last) {
      waited += pauses[last] - from;
      const auto hits = static_cast<double>(last - first + 1);
      if (hits < std::max(static_cast<double>(kFewest), kShare * left)) continue;
      const double until = pauses[last] + marginOf(pauses[last]);
      const double held = (waited + (left - hits) * (until - from)) / left + lead + kTrouble;
      const double chance = hits / (left + 1);
      if (!best || chance / held > best->worth) best = Window{from, until, chance, chance / held};
    }
  }
  if (best) best->worth *= trust < kLeastTrust ? 0 : trust;
  return best;
}

double Rhythm::worthUntil(double passed, double until) const {
  Sorted pauses{};
  const std::size_t size = after(passed, pauses);
  const double unseen = (early_ + kUnseen) / (judged_ + 1);
  double best = unseen / std::max(until - passed, 1.0), sum = 0;
  for (std::size_t i = 0; i < size && pauses[i] <= until; ++i) {
    const double length = pauses[i] - passed;
    sum += length;
    const auto come = static_cast<double>(i + 1), rest = static_cast<double>(size) - come;
    best = std::max(best, come / std::max(sum + rest * length, 1.0));
  }
  return best;
}

void Rhythm::judge(double promised, Outcome outcome) {
  judged_ = kSlowly * judged_ + 1;
  early_ = kSlowly * early_ + (outcome == Outcome::Early ? 1 : 0);
  if (outcome == Outcome::Early) return;
  promised_ = kForget * promised_ + static_cast<float>(promised);
  came_ = kForget * came_ + (outcome == Outcome::InTime ? 1 : 0);
}

}  // namespace okibi::planner
