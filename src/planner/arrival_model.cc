#include "planner/arrival_model.h"

#include <algorithm>
#include <cmath>

namespace okibi::planner {
namespace {

constexpr double kHour = 3600, kDay = 86400;
constexpr std::int64_t kFirstSolve = 50;  // idle times before anything is chosen
constexpr double kLean = 20;              // idle times' worth of trust in all classes together
constexpr double kRemember = 3000;        // idle times that the averages look back
constexpr double kMostCounts = 50'000;    // then all counts are halved
constexpr double kCorrection = 4;         // how hard an overdrawn budget raises the price
constexpr double kThrift = 0.97;          // of the budget is planned, so that it is kept
constexpr double kLongest = kDay;         // nothing is kept longer
// With parking, nobody is released earlier than this (or than the rule would).
constexpr double kFloor = 600;

double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

Duration ofSeconds(double value) {
  return Duration(std::llround(value * 1e9));
}

std::size_t logClass(double count, std::size_t most) {
  if (count <= 1) return 0;
  return std::min(static_cast<std::size_t>(std::log(count) / std::log(3.0)), most);
}

}  // namespace

void Rates::count(Instant now) {
  const double gap = seconds(now - at);
  hour = static_cast<float>(hour * std::exp(-gap / kHour) + 1);
  day = static_cast<float>(day * std::exp(-gap / kDay) + 1);
  at = now;
}

ArrivalModel::ArrivalModel() : classes_(kClasses), nextSolve_(kFirstSolve) {}

double ArrivalModel::edge(std::size_t bin) {
  return std::exp2(static_cast<double>(bin + 1) / 2);
}

std::size_t ArrivalModel::binOf(double value) {
  if (value <= edge(0)) return 0;
  return std::min(static_cast<std::size_t>(std::ceil(2 * std::log2(value) - 1e-9)) - 1, kBins - 1);
}

ArrivalModel::Class ArrivalModel::classOf(const Rates& rates, Instant now, bool othersBusy) {
  const double gap = seconds(now - rates.at);
  const std::size_t hour = logClass(rates.hour * std::exp(-gap / kHour), 5);
  const std::size_t day = logClass(rates.day * std::exp(-gap / kDay), 7);
  const auto part =
      static_cast<std::size_t>(std::fmod(seconds(now.time_since_epoch()), kDay) / (kDay / 6));
  return static_cast<Class>(((part * 6 + hour) * 8 + day) * 2 + (othersBusy ? 1 : 0));
}

ArrivalModel::Curve ArrivalModel::curveOf(const Counts& counts) const {
  Curve curve;
  double left = 1, kept = 0, before = 0;
  for (std::size_t i = 0; i < kBins; ++i) {
    const double share = (counts.bins[i] + kLean * all_.bins[i] / all_.sum) / (counts.sum + kLean);
    const double middle = std::sqrt(std::max(before, 0.5) * edge(i));
    // The last bin holds what was never wanted.
    const double hit = i + 1 == kBins ? 0 : share;
    kept += hit * (middle - before) + (left - hit) * (edge(i) - before);
    left -= hit;
    curve.chance[i] = static_cast<float>(1 - left);
    curve.kept[i] = static_cast<float>(kept);
    before = edge(i);
  }
  return curve;
}

std::size_t ArrivalModel::best(const Curve& curve, double value, double price, std::size_t least) {
  std::size_t bin = least;
  double most = -1e300;
  for (std::size_t i = least; i + 1 < kBins && (i == least || edge(i) <= kLongest); ++i) {
    const double gain = value * curve.chance[i] - price * curve.kept[i];
    if (gain <= most) continue;
    most = gain;
    bin = i;
  }
  return bin;
}

ArrivalModel::Choice ArrivalModel::choose(Class idleClass, const Rule& rule, double cost) const {
  if (learned_ < kFirstSolve) return {rule.onCard, rule.kept, 0};
  const Curve curve = curveOf(classes_[idleClass]);
  const bool parks = rule.kept > rule.onCard;
  const std::size_t card = best(curve, parks ? 1 : cost, cardPrice_, 0);
  if (!parks) return {ofSeconds(edge(card)), ofSeconds(edge(card)), curve.chance[card] * cost};
  const double floor = std::min(kFloor, seconds(rule.kept));
  const std::size_t kept = best(curve, cost, parkedPrice_, std::max(binOf(floor), card));
  return {ofSeconds(edge(card)), ofSeconds(edge(kept)), curve.chance[kept] * cost};
}

void ArrivalModel::count(Class idleClass, std::size_t bin, float change) {
  Counts& counts = classes_[idleClass];
  // Forgetting may have left less than what is taken back.
  for (Counts* c : {&counts, &all_}) {
    const float before = c->bins[bin];
    c->bins[bin] = std::max(0.0F, before + change);
    c->sum += c->bins[bin] - before;
  }
}

// The last one is of what was never wanted.
std::size_t ArrivalModel::hitBin(Duration idle) {
  return std::min(binOf(seconds(idle)), kBins - 2);
}

void ArrivalModel::learnWanted(Class idleClass, Duration idle, const Choice& choice,
                               const Rule& rule) {
  count(idleClass, hitBin(idle), 1);
  account(idle, choice, rule);
}

void ArrivalModel::learnGivenUp(Class idleClass, const Choice& choice, const Rule& rule) {
  count(idleClass, kBins - 1, 1);
  account(Duration::max(), choice, rule);
}

void ArrivalModel::correct(Class idleClass, Duration idle, const Rule& rule) {
  count(idleClass, kBins - 1, -1);
  count(idleClass, hitBin(idle), 1);
  // The rule had been charged as if it had waited in vain.
  const double weight = 1 / std::min(static_cast<double>(learned_), kRemember);
  ruleCard_ -= weight * seconds(rule.onCard - std::min(idle, rule.onCard));
  ruleParked_ -= weight * seconds(rule.kept - std::clamp(idle, rule.onCard, rule.kept));
}

void ArrivalModel::account(Duration idle, const Choice& choice, const Rule& rule) {
  ++learned_;
  const double weight = 1 / std::min(static_cast<double>(learned_), kRemember);
  const auto average = [weight](double& mean, Duration value) {
    mean += weight * (seconds(value) - mean);
  };
  average(ruleCard_, std::min(idle, rule.onCard));
  average(ruleParked_, std::clamp(idle, rule.onCard, rule.kept) - rule.onCard);
  average(spentCard_, std::min(idle, choice.onCard));
  average(spentParked_, std::clamp(idle, choice.onCard, choice.kept) - choice.onCard);
  if (rule.kept > rule.onCard) floorBin_ = binOf(std::min(kFloor, seconds(rule.kept)));
  if (learned_ < nextSolve_) return;
  if (all_.sum > kMostCounts) forget();
  solve();
  nextSolve_ = learned_ + std::clamp<std::int64_t>(learned_ / 10, kFirstSolve, 1000);
}

void ArrivalModel::forget() {
  const auto halve = [](Counts& counts) {
    for (float& bin : counts.bins) bin /= 2;
    counts.sum /= 2;
  };
  for (Counts& counts : classes_) halve(counts);
  halve(all_);
}

// The prices at which the choices spend what the rule would: found by halving.
void ArrivalModel::solve() {
  std::vector<std::pair<double, Curve>> curves;
  for (const Counts& counts : classes_) {
    if (counts.sum > 0) curves.emplace_back(counts.sum / all_.sum, curveOf(counts));
  }
  const auto priceFor = [](double budget, auto spendAt) {
    double low = 1e-9, high = 10;
    for (int i = 0; i < 40; ++i) {
      const double price = std::sqrt(low * high);
      (spendAt(price) > budget ? low : high) = price;
    }
    return high;
  };
  // What was spent beyond the rule is saved again, and what was saved may be spent.
  const auto target = [](double rule, double spent) {
    const double saved = (kThrift * rule - spent) / std::max(rule, 1e-3);
    return kThrift * rule * std::clamp(1 + kCorrection * saved, 0.3, 1.3);
  };
  cardPrice_ = priceFor(target(ruleCard_, spentCard_), [&](double price) {
    double sum = 0;
    for (const auto& [share, curve] : curves) sum += share * curve.kept[best(curve, 1, price, 0)];
    return sum;
  });
  if (ruleParked_ <= 0) return;
  parkedPrice_ = priceFor(target(ruleParked_, spentParked_), [&](double price) {
    double sum = 0;
    for (const auto& [share, curve] : curves) {
      const std::size_t card = best(curve, 1, cardPrice_, 0);
      const std::size_t kept = best(curve, 1, price, std::max(floorBin_, card));
      sum += share * (curve.kept[kept] - curve.kept[card]);
    }
    return sum;
  });
}

}  // namespace okibi::planner
