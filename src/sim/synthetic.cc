#include "sim/synthetic.h"

#include <cmath>
#include <numbers>
#include <queue>

#include <fmt/format.h>

#include "sim/parse.h"

namespace okibi::sim {
namespace {

enum class Rhythm { Memoryless, Timer, Bursts };

constexpr double kBurstLength = 8;    // requests, on average
constexpr double kBurstSpread = 0.2;  // time within a burst, as a share of a memoryless gap

struct Generator {
  Random random{0};
  Rhythm rhythm = Rhythm::Memoryless;
  double gap = 0;         // seconds between requests, on average
  double next = 0;        // seconds
  std::int64_t left = 0;  // requests left of the burst
};

double exponential(Random& random, double mean) {
  return -mean * std::log(1 - random.fraction());
}

class Synthetic : public Workload {
 public:
  explicit Synthetic(const SyntheticOptions& options) : options_(options) {
    for (std::int64_t i = 0; i < options.functions; ++i) {
      const auto turn = static_cast<std::size_t>(i) % options.slices.size();
      functions_.push_back({fmt::format("f{}", i), options.slices[turn], 1});
    }
    begin();
  }

  const std::vector<WorkloadFunction>& functions() const override { return functions_; }
  Duration horizon() const override { return options_.time; }
  Result<void> rewind() override {
    begin();
    return {};
  }

  Result<bool> next(Request& request) override {
    const double end = toSeconds(options_.time);
    while (!queue_.empty()) {
      const auto [at, index] = queue_.top();
      queue_.pop();
      if (at >= end) continue;
      Generator& generator = generators_[index];
      const bool kept = !options_.daily || generator.rhythm == Rhythm::Timer ||
                        generator.random.chance(dailyShare(at));
      advance(generator);
      queue_.push({generator.next, index});
      if (!kept) continue;
      request.at = Instant(fromSeconds(at));
      request.function = index;
      request.service = options_.service.sample(generator.random);
      request.cold.reset();
      return true;
    }
    return false;
  }

 private:
  void begin() {
    generators_.assign(static_cast<std::size_t>(options_.functions), Generator());
    queue_ = {};
    double total = 0;
    for (std::int64_t i = 1; i <= options_.functions; ++i) total += share(i);
    for (std::uint32_t i = 0; i < generators_.size(); ++i) {
      Generator& g = generators_[i];
      g.random = Random(options_.seed * 0x9e3779b97f4a7c15ULL + i);
      const double kind = g.random.fraction();
      g.rhythm = kind < options_.timers                     ? Rhythm::Timer
                 : kind < options_.timers + options_.bursts ? Rhythm::Bursts
                                                            : Rhythm::Memoryless;
      const double expected = static_cast<double>(options_.requests) * share(i + 1) / total;
      g.gap = toSeconds(options_.time) / expected;
      // Half of the thinned requests are dropped: twice as many are drawn.
      if (options_.daily && g.rhythm != Rhythm::Timer) g.gap /= 2;
      g.next = g.gap * g.random.fraction();
      queue_.push({g.next, i});
    }
  }

  double share(std::int64_t rank) const {
    return std::pow(static_cast<double>(rank), -options_.skew);
  }

  // Between 0 at night and 1 by day, 0.5 on average.
  static double dailyShare(double at) {
    return 0.5 - 0.5 * std::cos(2 * std::numbers::pi * at / 86400);
  }

  static void advance(Generator& g) {
    if (g.rhythm == Rhythm::Timer) {
      g.next += g.gap;
    } else if (g.rhythm == Rhythm::Memoryless) {
      g.next += exponential(g.random, g.gap);
    } else if (g.left > 0) {
      --g.left;
      g.next += exponential(g.random, g.gap * kBurstSpread);
    } else {
      g.left = static_cast<std::int64_t>(exponential(g.random, kBurstLength - 1));
      const double within = kBurstSpread * (kBurstLength - 1);
      g.next += exponential(g.random, g.gap * (kBurstLength - within));
    }
  }

  const SyntheticOptions options_;
  std::vector<WorkloadFunction> functions_;
  std::vector<Generator> generators_;
  using Next = std::pair<double, std::uint32_t>;
  std::priority_queue<Next, std::vector<Next>, std::greater<>> queue_;
};

Result<double> numberIn(std::string_view key, std::string_view text, double low, double high) {
  Result<double> value = parseNumber(text);
  if (!value) return fail(withContext(value.error(), key));
  if (*value >= low && *value <= high) return value;
  return fail(ErrorKind::Invalid, fmt::format("{}: {} is outside {} to {}", key, text, low, high));
}

Result<std::vector<Bytes>> parseSizes(const std::string& text) {
  std::vector<Bytes> sizes;
  for (const std::string& part : split(text, '|')) {
    Result<Bytes> size = parseBytes(part);
    if (!size) return fail(size.error());
    sizes.push_back(*size);
  }
  if (sizes.empty()) return fail(ErrorKind::Invalid, "no size is given");
  return sizes;
}

Result<void> set(SyntheticOptions& options, const std::string& key, const std::string& value) {
  const auto number = [&](double low, double high, auto& target) -> Result<void> {
    Result<double> read = numberIn(key, value, low, high);
    if (!read) return fail(read.error());
    target = static_cast<std::remove_reference_t<decltype(target)>>(*read);
    return {};
  };
  const auto with = [&](auto read, auto& target) -> Result<void> {
    if (!read) return fail(withContext(read.error(), key));
    target = std::move(*read);
    return {};
  };
  if (key == "functions") return number(1, 10'000'000, options.functions);
  if (key == "requests") return number(1, 1e10, options.requests);
  if (key == "skew") return number(0, 5, options.skew);
  if (key == "timers") return number(0, 1, options.timers);
  if (key == "bursts") return number(0, 1, options.bursts);
  if (key == "daily") return number(0, 1, options.daily);
  if (key == "time") return with(parseDuration(value), options.time);
  if (key == "service") return with(Distribution::parse(value), options.service);
  if (key == "slice") return with(parseSizes(value), options.slices);
  return fail(ErrorKind::Invalid,
              fmt::format("'{}' is not functions, requests, time, skew, timers, bursts, daily, "
                          "service or slice",
                          key));
}

}  // namespace

Result<SyntheticOptions> SyntheticOptions::parse(std::string_view text) {
  SyntheticOptions options;
  for (const std::string& part : split(text, ',')) {
    const std::size_t equals = part.find('=');
    if (equals == std::string::npos) {
      return fail(ErrorKind::Invalid, fmt::format("'{}' is not KEY=VALUE", part));
    }
    Result<void> done = set(options, part.substr(0, equals), part.substr(equals + 1));
    if (!done) return fail(done.error());
  }
  if (options.timers + options.bursts > 1) {
    return fail(ErrorKind::Invalid, "timers and bursts together are above 1");
  }
  return options;
}

std::unique_ptr<Workload> makeSynthetic(const SyntheticOptions& options) {
  return std::make_unique<Synthetic>(options);
}

}  // namespace okibi::sim
