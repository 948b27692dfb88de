#include "sim/policy.h"

#include <fmt/format.h>

#include "sim/parse.h"

namespace okibi::sim {
namespace {

constexpr Duration kForever = std::chrono::hours(24 * 366);

Result<void> readTimes(Policy& policy, const std::vector<std::string>& parts) {
  Result<Duration> first = parseDuration(parts[1]);
  if (!first) return fail(first.error());
  policy.idleTimeout = *first;
  if (parts.size() == 2) return {};
  Result<Duration> second = parseDuration(parts[2]);
  if (!second) return fail(second.error());
  if (*second < *first) {
    return fail(ErrorKind::Invalid,
                fmt::format("'{}': parked until {} is before {}", policy.name, parts[2], parts[1]));
  }
  policy.parkAfter = first.value();
  policy.idleTimeout = *second;
  return {};
}

constexpr int kMarginLeast = -100, kMarginMost = 1000;

Result<void> readScaleOut(Policy& policy, std::string_view text) {
  const std::vector<std::string> parts = split(text, ':');
  const std::string kind = parts.empty() ? "" : parts[0];
  if (kind == "per-request" && parts.size() == 1) {
    policy.scaleOut = planner::ScaleOut::PerRequest;
    return {};
  }
  if (kind != "expected-wait" || parts.size() > 2) {
    return fail(ErrorKind::Invalid,
                fmt::format("'{}' is not per-request, expected-wait[:PERCENT], best-fit or "
                            "fragmentation",
                            text));
  }
  policy.scaleOut = planner::ScaleOut::ExpectedWait;
  if (parts.size() == 1) return {};
  Result<std::int64_t> margin = parseInteger(parts[1]);
  if (!margin) return fail(margin.error());
  if (*margin < kMarginLeast || *margin > kMarginMost) {
    return fail(ErrorKind::Invalid, fmt::format("margin {} is outside {} to {} percent", *margin,
                                                kMarginLeast, kMarginMost));
  }
  policy.waitMarginPercent = static_cast<int>(*margin);
  return {};
}

Result<void> readSuffix(Policy& policy, std::string_view text) {
  if (text == "best-fit" || text == "fragmentation") {
    policy.cardRule =
        text == "best-fit" ? planner::CardRule::BestFit : planner::CardRule::Fragmentation;
    return {};
  }
  return readScaleOut(policy, text);
}

}  // namespace

Result<Policy> Policy::parse(std::string_view text) {
  Policy policy;
  policy.name = text;
  const std::vector<std::string> pieces = split(text, '/');
  for (std::size_t i = 1; i < pieces.size(); ++i) {
    if (Result<void> read = readSuffix(policy, pieces[i]); !read) return fail(read.error());
  }
  const std::vector<std::string> parts = split(pieces.empty() ? "" : pieces[0], ':');
  const std::string kind = parts.empty() ? "" : parts[0];
  if (kind == "keep" && parts.size() == 1) {
    policy.idleTimeout = kForever;
    return policy;
  }
  const bool fixed = kind == "fixed" && parts.size() == 2;
  const bool twoTier = kind == "two-tier" && parts.size() == 3;
  const bool learned = kind == "learned" && (parts.size() == 2 || parts.size() == 3);
  const bool hybrid = kind == "hybrid" && parts.size() == 2;
  if (!fixed && !twoTier && !learned && !hybrid) {
    return fail(ErrorKind::Invalid,
                fmt::format("'{}' is not fixed:TIME, two-tier:TIME:TIME, learned:TIME[:TIME], "
                            "hybrid:TIME or keep",
                            text));
  }
  if (Result<void> read = readTimes(policy, parts); !read) return fail(read.error());
  if (learned) policy.kind = planner::KeepAlivePolicy::Learned;
  if (hybrid) {
    policy.kind = planner::KeepAlivePolicy::Histogram;
    policy.range = policy.idleTimeout;
  }
  return policy;
}

}  // namespace okibi::sim
