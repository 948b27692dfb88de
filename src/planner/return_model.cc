#include "planner/return_model.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

#include "planner/idle_steps.h"
#include "planner/signs.h"

namespace okibi::planner {
namespace {

constexpr double kRecent = 1800, kUsual = 2 * kDay;  // seconds
// Where in a step those come that come in it, as a share of the step not waited for.
constexpr double kEarly = 0.55;
constexpr float kCellRate = 0.08F, kCellStart = 1, kTraitRate = 0.05F, kTraitStart = 20;
// First weights of the traits: what inference traffic is like before anything is known of this one.
constexpr std::array<float, ReturnModel::kTraits> kFirst{0.32F, 0.16F, -0.1F, 0.06F,
                                                         0.3F,  0.08F, 0.1F,  0};

// Sizes of the signs: doublings from a start on.
constexpr std::size_t kSince = 16, kBetween = 10, kHourly = 9, kCrowd = 8, kExpected = 9;
constexpr std::array<std::size_t, kMemories> kCounts{1, 10, 11, 12, 13};
constexpr std::array<std::size_t, ReturnModel::kTables> kSizes{
    kCounts[1] * kCounts[3] * kSince,
    kIdleSteps * 24,
    kIdleSteps* kBetween,
    kIdleSteps* ArrivalHistory::kLevels,
    kCounts[2] * kCounts[4] * 8,
    kIdleSteps* kSince,
    kCounts[4] * kCounts[3] * 8,
    kIdleSteps* kCrowd,
    kIdleSteps* kHourly,
    kExpected* kHourly,
};
constexpr std::size_t kCells = [] {
  std::size_t sum = 0;
  for (std::size_t size : kSizes) sum += size;
  return sum;
}();
static_assert(kCells < 65536);

// Natural logarithm to six digits: it is asked for hundreds of times in a look ahead.
// REQUIRES: value > 0, normal
double quickLog(double value) {
  const auto bits = std::bit_cast<std::uint64_t>(value);
  const auto exponent = static_cast<int>(bits >> 52) - 1022;
  const double mantissa =
      std::bit_cast<double>((bits & 0x000F'FFFF'FFFF'FFFF) | 0x3FE0'0000'0000'0000);
  const double x = (mantissa * std::numbers::sqrt2 - 1) / (mantissa * std::numbers::sqrt2 + 1);
  const double square = x * x;
  return 2 * x * (1 + square * (1.0 / 3 + square / 5)) + (exponent - 0.5) * std::numbers::ln2;
}

// What is left of a count at each edge of an idle time, by how long it remembers.
const std::array<std::array<double, kMemories>, kIdleSteps>& leftAtEdges() {
  static const auto table = [] {
    std::array<std::array<double, kMemories>, kIdleSteps> left{};
    for (std::size_t i = 0; i < kIdleSteps; ++i) {
      for (std::size_t m = 0; m < kMemories; ++m)
        left[i][m] = std::exp(-kIdleEdges[i] / kMemory[m]);
    }
    return left;
  }();
  return table;
}

}  // namespace

ReturnModel::ReturnModel() : cells_(kCells) {
  for (std::size_t i = 0; i < kTraits; ++i) traits_[i].value = kFirst[i];
}

void ReturnModel::countArrival(Instant now) {
  if (!any_) firstAt_ = countedAt_ = now;
  any_ = true;
  const double gap = toSeconds(now - countedAt_);
  recent_ = recent_ * std::exp(-gap / kRecent) + 1;
  usual_ = usual_ * std::exp(-gap / kUsual) + 1;
  countedAt_ = now;
}

// How busy all functions are, against how busy they usually are.
double ReturnModel::crowd(Instant now) const {
  const double gap = toSeconds(now - countedAt_);
  const double seen = 1 - std::exp(-std::max(kHour, toSeconds(now - firstAt_)) / kUsual);
  const double usual = usual_ * std::exp(-gap / kUsual) / (kUsual * seen);
  return recent_ * std::exp(-gap / kRecent) / kRecent / std::max(usual, 1e-9);
}

ReturnModel::View ReturnModel::viewOf(const Outlook& outlook, std::size_t step) const {
  View view{outlook, step, 0, 0, 0, {}};
  view.hour = hourOfDay(outlook.now);
  const double crowded = std::log(std::max(crowd(outlook.now), 1e-3)) / std::log(1.5) + 4;
  view.crowd = static_cast<std::size_t>(std::clamp(crowded, 0.0, kCrowd - 1.0));
  const double doubled = outlook.between > 8 ? 1 + std::log2(outlook.between / 8) / 1.5 : 0;
  view.between = std::min(static_cast<std::size_t>(doubled), kBetween - 1);
  for (std::size_t i = 0; i < 48; ++i) {
    view.requestsUntil[i + 1] = view.requestsUntil[i] + outlook.hours[i % 24];
  }
  return view;
}

// `ahead`: a later step than the one it stands in, up to which nothing has come.
ReturnModel::Signs ReturnModel::read(const View& view, std::size_t ahead) {
  const Outlook& outlook = view.outlook;
  const double passed = kIdleEdges[ahead] - kIdleEdges[view.step];
  const double span = kIdleEdges[ahead + 1] - kIdleEdges[ahead];
  const auto &now = leftAtEdges()[view.step], &then = leftAtEdges()[ahead];
  std::array<std::size_t, kMemories> many{};
  Signs signs;
  for (std::size_t i = 0; i < kMemories; ++i) {
    const double count = outlook.counts[i] * (then[i] / now[i]);
    many[i] = doublings(count, 0.05, kCounts[i]);
    const double expected = (count + 0.02) * (span / kMemory[i]);
    signs.traits[i] = static_cast<float>(quickLog(std::min(expected, 20.0) + 1e-3));
  }
  const double since = outlook.since + passed;
  signs.traits[kMemories] = static_cast<float>(quickLog(span / (since + span / 2 + 30)));
  signs.traits[kMemories + 1] =
      static_cast<float>(quickLog(span / (kIdleEdges[ahead] + span / 2 + 30)));
  signs.traits[kMemories + 2] = 1;

  double hour = view.hour + passed / kHour;
  hour -= 24 * std::floor(hour / 24);
  const auto whole = std::min<std::size_t>(static_cast<std::size_t>(hour), 23);
  const double part = hour - static_cast<double>(whole);
  const double hourly = outlook.hours[whole] * (1 - part) + outlook.hours[(whole + 1) % 24] * part;
  const std::size_t usual = doublings(hourly, 0.05, kHourly);
  const auto hours = std::clamp<std::size_t>(static_cast<std::size_t>(span / kHour + 0.5), 1, 24);
  const double within = view.requestsUntil[whole + hours] - view.requestsUntil[whole];
  const double perStep = within * span / kHour / static_cast<double>(hours);
  const std::size_t expected = doublings(4 * perStep, 0.05, kExpected);
  const std::array<std::size_t, kTables> indices{
      (many[1] * kCounts[3] + many[3]) * kSince + doublings(since, 4, kSince),
      ahead * 24 + whole,
      ahead * kBetween + view.between,
      ahead * ArrivalHistory::kLevels + outlook.rank,
      (many[2] * kCounts[4] + many[4]) * 8 + ahead / 4,
      ahead * kSince + doublings(outlook.sinceAny + passed, 4, kSince),
      (many[4] * kCounts[3] + many[3]) * 8 + ahead / 4,
      ahead * kCrowd + view.crowd,
      ahead * kHourly + usual,
      expected * kHourly + usual,
  };
  std::size_t offset = 0;
  for (std::size_t i = 0; i < kTables; ++i) {
    signs.cells[i] = static_cast<std::uint16_t>(offset + indices[i]);
    offset += kSizes[i];
  }
  return signs;
}

ReturnModel::Signs ReturnModel::read(const Outlook& outlook, std::size_t step) const {
  return read(viewOf(outlook, step), step);
}

double ReturnModel::chance(const Signs& signs) const {
  double sum = 0;
  for (std::size_t i = 0; i < kTraits; ++i) sum += traits_[i].value * signs.traits[i];
  for (std::uint16_t cell : signs.cells) sum += cells_[cell].value;
  return 1 / (1 + std::exp(-sum));
}

void ReturnModel::learn(const Signs& signs, bool wanted) {
  const auto error = static_cast<float>(chance(signs) - (wanted ? 1 : 0));
  const auto descend = [](Weight& weight, float slope, float rate, float start) {
    weight.slope += slope * slope;
    weight.value -= rate * slope / std::sqrt(start + weight.slope);
  };
  for (std::size_t i = 0; i < kTraits; ++i) {
    descend(traits_[i], error * signs.traits[i], kTraitRate, kTraitStart);
  }
  for (std::uint16_t cell : signs.cells) descend(cells_[cell], error, kCellRate, kCellStart);
}

ReturnModel::Look ReturnModel::look(const Outlook& outlook, std::size_t step, double enough) const {
  const View view = viewOf(outlook, step);
  Look look{read(view, step), 0};
  double left = 1, held = 0;
  for (std::size_t i = step; i < kIdleSteps && look.worth < enough; ++i) {
    const double wanted = chance(i == step ? look.signs : read(view, i));
    held += left * (kIdleEdges[i + 1] - kIdleEdges[i]) * (1 - kEarly * wanted);
    left *= 1 - wanted;
    look.worth = std::max(look.worth, (1 - left) / held);
  }
  return look;
}

}  // namespace okibi::planner
