#include "conductor/async_queue.h"

#include <algorithm>

#include "base/log.h"
#include "conductor/clock.h"

namespace okibi::conductor {
namespace {

constexpr int kAtOnce = 100;  // tries that run at the same time
constexpr std::chrono::milliseconds kFirstPause{500};
constexpr std::chrono::minutes kLongestPause{5};
constexpr std::chrono::hours kThrottledMost{5};

WallTime pauseAfter(int tries, WallTime now) {
  const auto pause = kFirstPause * (1LL << std::clamp(tries - 1, 0, 20));
  return now + std::min<std::chrono::milliseconds>(pause, kLongestPause);
}

void warn(const seams::AsyncEvent& event, std::string_view why) {
  log::warning("asynchronous invocation dropped", "function={} request={} why=\"{}\"",
               event.function.name, event.requestId, why);
}

}  // namespace

std::optional<seams::AsyncEvent> afterAttempt(seams::AsyncEvent event, AttemptResult result,
                                              WallTime now) {
  event.state = "Retrying";
  if (result == AttemptResult::FunctionFailed) {
    if (++event.failures > event.maxRetries) return std::nullopt;
    event.due = pauseAfter(event.failures, now);
  } else if (result == AttemptResult::NotReached) {
    if (now - event.enqueued >= kThrottledMost) return std::nullopt;
    event.due = pauseAfter(++event.throttles, now);
  } else {
    return std::nullopt;
  }
  if (event.due >= event.expires) return std::nullopt;
  return event;
}

seams::AsyncEvent asyncEvent(const AsyncArrival& arrival, const ResourceMap& resources,
                             WallTime now) {
  const std::string qualifier(arrival.qualifier.empty() ? kLatest : arrival.qualifier);
  AsyncConfig config;
  if (const auto* set = resources.find<AsyncConfig>(arrival.function, qualifier)) config = *set;
  seams::AsyncEvent event;
  event.function = arrival.function;
  event.requestId = arrival.requestId;
  event.taskId = arrival.taskId;
  event.qualifier = qualifier;
  event.state = "Enqueued";
  event.http = arrival.http;
  event.enqueued = now;
  event.due = now + arrival.delay;
  event.expires = event.due + config.maxAge;
  event.maxRetries = config.maxRetries;
  return event;
}

Result<void> AsyncQueue::load() {
  auto events = store_.asyncEvents();
  if (!events) return fail(events.error());
  for (seams::AsyncEvent& event : *events) {
    ++backlog_[event.function];
    const Key key{event.due, event.requestId};
    waiting_.emplace(key, std::move(event));
  }
  return {};
}

void AsyncQueue::start(Run run) {
  run_ = std::move(run);
  pump();
}

net::Task<Result<void>> AsyncQueue::enqueue(seams::AsyncEvent event, std::string payload) {
  auto stored =
      co_await loop_.offload([&] { return store_.putAsyncEvent(event, std::move(payload)); });
  if (!stored) co_return stored;
  ++backlog_[event.function];
  const Key key{event.due, event.requestId};
  waiting_.emplace(key, std::move(event));
  pump();
  co_return Result<void>{};
}

std::size_t AsyncQueue::backlog(const FunctionRef& function) const {
  const auto found = backlog_.find(function);
  return found == backlog_.end() ? 0 : found->second;
}

void AsyncQueue::pump() {
  if (!run_) return;
  const WallTime now = wallNow();
  while (!waiting_.empty() && running_ < kAtOnce && waiting_.begin()->first.first <= now) {
    ++running_;
    loop_.spawn(attempt(std::move(waiting_.extract(waiting_.begin()).mapped())));
  }
  if (waiting_.empty() || running_ >= kAtOnce) return;
  const auto pause = std::max(waiting_.begin()->first.first - now, std::chrono::milliseconds(1));
  timer_.schedule(loop_.now() + pause, [this] { pump(); });
}

net::Task<void> AsyncQueue::attempt(seams::AsyncEvent event) {
  std::optional<seams::AsyncEvent> again;
  if (wallNow() >= event.expires) {
    warn(event, "older than maxAsyncEventAgeInSeconds");
  } else {
    auto payload = co_await loop_.offload([&] { return store_.asyncPayload(event.requestId); });
    AttemptResult result = AttemptResult::NotReached;
    if (payload && run_) result = co_await run_(event, std::move(*payload));
    if (result != AttemptResult::Done) {
      again = afterAttempt(event, result, wallNow());
      if (!again) warn(event, "its tries are used up");
    }
  }
  --running_;
  if (again) {
    auto stored = co_await loop_.offload([&] { return store_.updateAsyncEvent(*again); });
    // Lost only if the daemon dies too: then this try is made again.
    if (!stored) log::error("state write failed", "error=\"{}\"", stored.error().message);
    const Key key{again->due, again->requestId};
    waiting_.emplace(key, std::move(*again));
  } else {
    co_await end(event);
  }
  pump();
}

net::Task<void> AsyncQueue::end(const seams::AsyncEvent& event) {
  auto removed = co_await loop_.offload([&] { return store_.removeAsyncEvent(event.requestId); });
  // Gone already with its function.
  if (!removed && removed.error().kind != ErrorKind::NotFound) {
    log::error("state write failed", "error=\"{}\"", removed.error().message);
  }
  const auto count = backlog_.find(event.function);
  if (count != backlog_.end() && --count->second == 0) backlog_.erase(count);
}

}  // namespace okibi::conductor
