#pragma once
// A policy of keep-alive (and of scale-out) as named on a command line, and what it sets in the
// planner.

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/units.h"
#include "planner/plan.h"

namespace okibi::sim {

struct Policy {
  std::string name;  // as written
  planner::KeepAlivePolicy kind = planner::KeepAlivePolicy::Fixed;
  Duration idleTimeout{};             // since the last request, parked time included
  std::optional<Duration> parkAfter;  // nullopt: nothing is parked
  Duration range{};                   // of the histogram
  // When another instance is started; nullopt: as the protocol says.
  std::optional<planner::ScaleOut> scaleOut;
  std::optional<int> waitMarginPercent;  // nullopt: the planner's own
  planner::CardRule cardRule = planner::CardRule::BestFit;

  // "fixed:10m"; "two-tier:60s:60m" (on card, parked until); "learned:60s:60m" (at no more idle and
  // parked time than that rule); "learned:10m" (without parking); "hybrid:4h" (histogram range);
  // "keep" (never released). Each may end in "/per-request" or "/expected-wait[:MARGIN]": when a
  // queued request gets another instance; the margin in percent of a start. And in "/best-fit" or
  // "/fragmentation": which card takes an instance.
  static Result<Policy> parse(std::string_view text);
};

}  // namespace okibi::sim
