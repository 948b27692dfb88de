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

}  // namespace

Result<Policy> Policy::parse(std::string_view text) {
  const std::vector<std::string> parts = split(text, ':');
  Policy policy;
  policy.name = text;
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
