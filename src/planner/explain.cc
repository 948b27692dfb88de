#include "planner/explain.h"

#include <fmt/format.h>

namespace okibi::planner {
namespace {

std::string quotaText(std::string_view what, const Allowance& allowance) {
  return fmt::format("account quota '{}' is used up: {} of {}", what, allowance.held,
                     allowance.limit);
}

// "0.25 s", "1.0 s", "42 s"
std::string timeText(Duration time) {
  const double seconds = std::chrono::duration<double>(time).count();
  return fmt::format("{:.{}f} s", seconds, seconds < 0.95 ? 2 : seconds < 9.95 ? 1 : 0);
}

std::string startsText(const StartAllowance& starts) {
  return fmt::format(
      "account quota 'burst' is used up: {} of {} instances started at once; quota 'growth' admits "
      "{} more per minute",
      starts.burst(), starts.burst(), starts.growth());
}

std::string cardsText(const Shelf& shelf) {
  if (shelf.usable == 0) return fmt::format("there is no card of {}", shelf.type);
  return fmt::format("all cards of {} are full: {} of {} GB in use on {}", shelf.type,
                     shelf.held.wholeGib(), shelf.memory.wholeGib(),
                     shelf.usable == 1 ? "1 card" : fmt::format("{} cards", shelf.usable));
}

// The past tense of describe(): without figures, which have changed since.
std::string waitedText(Shortage shortage, const Function& function) {
  switch (shortage) {
    case Shortage::None:
      return {};
    case Shortage::Cards:
      return fmt::format("no card of {} had room", function.shelf->type);
    case Shortage::CardQuota:
      return "account quota 'GPU cards' was used up";
    case Shortage::InstanceQuota:
      return "account quota 'instances' was used up";
    case Shortage::StartQuota:
      return "account quotas 'burst' and 'growth' were used up";
    case Shortage::Runtime:
      return "the instance runtime was down";
  }
  return {};
}

std::string instancesText(int count, int unhealthy = 0) {
  std::string text =
      count == 1 ? "the 1 instance is full" : fmt::format("all {} instances full", count);
  if (unhealthy == 0) return text;
  if (count == 1) return "the 1 instance is unhealthy";
  return fmt::format("{} or unhealthy ({})", text, unhealthy);
}

}  // namespace

std::string_view toString(StopReason reason) {
  switch (reason) {
    case StopReason::IdleTimeout:
      return "idle timeout";
    case StopReason::MadeRoom:
      return "made room";
    case StopReason::Yielded:
      return "yielded";
    case StopReason::RevisionRetired:
      return "revision retired";
    case StopReason::StartFailed:
      return "start failed";
    case StopReason::Broken:
      return "broken";
    case StopReason::RequestAbandoned:
      return "request abandoned";
    case StopReason::ParkFailed:
      return "park failed";
    case StopReason::CardLost:
      return "card lost";
    case StopReason::MinimumLowered:
      return "minimum lowered";
    case StopReason::Drain:
      return "shutdown";
  }
  return "?";
}

std::string describe(Shortage shortage, const Function& function) {
  switch (shortage) {
    case Shortage::None:
      return {};
    case Shortage::Cards:
      return cardsText(*function.shelf);
    case Shortage::CardQuota:
      return quotaText("GPU cards", function.account->cards);
    case Shortage::InstanceQuota:
      return quotaText("instances", function.account->instances);
    case Shortage::StartQuota:
      return startsText(function.account->starts);
    case Shortage::Runtime:
      return "the instance runtime is down";
  }
  return {};
}

std::string aheadReason(Ahead how) {
  return fmt::format("{} ahead of an expected request", how == Ahead::Woken ? "woken" : "started");
}

std::string startReason(const Function& function) {
  const InstancePool& pool = *function.pool;
  std::string reason = "no instance";
  if (pool.serving() > 0) {
    reason = instancesText(pool.serving(), pool.unhealthy);
  } else if (const int coming = pool.starting() + pool.placing(); coming > 0) {
    reason = fmt::format("{} queued, {} starting", pool.queue.size(), coming);
  }
  if (pool.parkedOrParking() > 0) reason += fmt::format("; {} parked", pool.parkedOrParking());
  if (pool.queue.empty() && function.minimum > 0)
    reason = fmt::format("minimum is {}", function.minimum);
  if (pool.shortage == Shortage::None) return reason;
  reason += fmt::format("; waited: {}", waitedText(pool.shortage, function));
  // Since it waits, or was served itself.
  const std::uint64_t before = pool.line ? pool.line->turns() - pool.since : 0;
  if (before == 0) return reason;
  return fmt::format(
      "{}, {} came first", reason,
      before == 1 ? "1 start of another" : fmt::format("{} starts of others", before));
}

std::string cardReason(const CardBook& card, CardChoice choice, Bytes slice, std::size_t leaving) {
  const std::string name = fmt::format("card {}", card.id.value());
  switch (choice) {
    case CardChoice::Fits: {
      const int rivals = card.shelf->cardsWithRoom(slice);
      const Bytes left = card.bookable() - slice;
      if (rivals == 1) {
        return fmt::format("{}: the only one of {} with room, {} of {} GB are left", name,
                           card.shelf->type, left.wholeGib(), card.memory.wholeGib());
      }
      return fmt::format("{}: of {} with room it is left with least, {} of {} GB", name, rivals,
                         left.wholeGib(), card.memory.wholeGib());
    }
    case CardChoice::IsGivenBack:
      return fmt::format("{}: no card had room; what it needs is being given back there", name);
    case CardChoice::MadeRoom:
      return fmt::format("{}: no card had room; {} made room there", name,
                         leaving == 1 ? "1 instance" : fmt::format("{} instances", leaving));
  }
  return name;
}

std::string roomFor(const Function& taker, const Function& from) {
  if (taker.account != from.account) return "for another account";
  return fmt::format("for function '{}'", taker.name);
}

std::string queuedReason(const Request& request) {
  if (request.servingThen > 0) {
    const std::string full = instancesText(request.servingThen);
    if (request.startThen == Duration::zero() || request.ripe) return full;
    return fmt::format("{}; waited in line: {} a request, {} a start", full,
                       timeText(request.serviceThen), timeText(request.startThen));
  }
  if (request.startingThen > 0) return fmt::format("{} starting", request.startingThen);
  return "no instance";
}

Error deadlineError(const Function& function, const PlannerConfig& config) {
  const InstancePool& pool = *function.pool;
  Shortage shortage = pool.shortage;
  if (shortage == Shortage::None && pool.placing() > 0) {
    shortage = function.shelf ? Shortage::Cards : Shortage::InstanceQuota;
  }
  const std::string text = describe(shortage, function);
  switch (shortage) {
    case Shortage::CardQuota:
    case Shortage::InstanceQuota:
    case Shortage::StartQuota:
      return {ErrorKind::Exhausted, text, "ResourceExhausted"};
    case Shortage::Cards:
      return {ErrorKind::Unavailable, text, "ResourceThrottled"};
    case Shortage::Runtime:
      return {ErrorKind::Unavailable, text, {}};
    case Shortage::None:
      break;
  }
  const Group& group = *function.group;
  if (group.most && group.alive >= *group.most) {
    return {ErrorKind::Exhausted,
            fmt::format("function '{}' is at its concurrency configuration: {} of {} instances",
                        function.name, group.alive, *group.most),
            "ResourceExhausted"};
  }
  if (function.startFailures >= config.startFailuresInRow) {
    return {
        ErrorKind::Unavailable,
        fmt::format("function '{}' is failing to start ({} times in a row); one start at a time "
                    "is tried",
                    function.name, function.startFailures),
        {}};
  }
  return {
      ErrorKind::TimedOut,
      fmt::format("no instance of function '{}' was free before the queue deadline", function.name),
      {}};
}

std::string turnReason(const Request& request) {
  constexpr std::string_view kWaited = "waited for its turn on the card";
  return request.reason.empty() ? std::string(kWaited)
                                : fmt::format("{}; {}", request.reason, kWaited);
}

Error turnError(const CardBook& card, const PlannerConfig& config) {
  return {
      ErrorKind::Unavailable,
      fmt::format("card {} was busy until the queue deadline: cardTurns is {}, {} instances wait",
                  card.id.value(), config.cardTurns, card.turns.waitingInstances()),
      "ResourceThrottled"};
}

Error hopelessError(const Function& function, Duration wait, Duration left) {
  const InstancePool& pool = *function.pool;
  const Shortage lacks = pool.shortage == Shortage::None ? pool.lineShortage : pool.shortage;
  const bool cards = lacks == Shortage::Cards || lacks == Shortage::Runtime;
  return {
      cards ? ErrorKind::Unavailable : ErrorKind::Exhausted,
      fmt::format("expected wait {}, deadline in {}: {} requests wait for function '{}', and {}",
                  timeText(wait), timeText(left), pool.queue.size(), function.name,
                  describe(lacks, function)),
      cards ? "ResourceThrottled" : "ResourceExhausted"};
}

Error keptOnlyError(const Function& function) {
  return {ErrorKind::Exhausted,
          fmt::format("function '{}' has no provisioned instances, and disableOndemand forbids "
                      "others",
                      function.name),
          "ResourceExhausted"};
}

Error queueFullError(const Function& function, std::size_t limit) {
  return {ErrorKind::Exhausted,
          fmt::format("queue of function '{}' is full: {} of {} requests", function.name,
                      function.pool->queue.size(), limit),
          "ResourceExhausted"};
}

}  // namespace okibi::planner
