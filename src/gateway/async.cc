// SPDX-License-Identifier: Apache-2.0
// Asynchronous invocations: accepted with 202 once they are durable, tried by the queue.

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "conductor/clock.h"
#include "gateway/attempt.h"
#include "gateway/gateway.h"
#include "gateway/verdict.h"
#include "net/spool.h"

namespace okibi::gateway {
namespace {

constexpr std::size_t kTaskIdMost = 128;
constexpr std::int64_t kDelayMost = 3600;

bool isTaskIdCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

// Begins with a letter or '_' (fact sheet 1.5).
Result<std::string> taskIdOf(const net::RequestHead& head) {
  const std::string_view id = head.headers.getOr("x-fc-async-task-id", "");
  const bool start = id.empty() || id[0] == '_' || (id[0] >= 'a' && id[0] <= 'z') ||
                     (id[0] >= 'A' && id[0] <= 'Z');
  if (start && id.size() <= kTaskIdMost && std::ranges::all_of(id, isTaskIdCharacter)) {
    return std::string(id);
  }
  return fail(ErrorKind::Invalid,
              fmt::format("x-fc-async-task-id: '{}' must begin with a letter or '_', have 1–{} "
                          "letters, digits, '_' or '-'",
                          id, kTaskIdMost),
              "InvalidArgument");
}

Result<Seconds> delayOf(const net::RequestHead& head) {
  const auto text = head.headers.get("x-fc-async-delay");
  if (!text) return Seconds(0);
  std::int64_t seconds = 0;
  const auto [stop, error] = std::from_chars(text->data(), text->data() + text->size(), seconds);
  if (error == std::errc() && stop == text->data() + text->size() && seconds > 0 &&
      seconds < kDelayMost) {
    return Seconds(seconds);
  }
  return fail(ErrorKind::Invalid,
              fmt::format("x-fc-async-delay: '{}' s is not in 1–{} s", *text, kDelayMost - 1),
              "InvalidArgument");
}

}  // namespace

net::Task<Result<void>> Gateway::enqueue(conductor::AsyncArrival arrival) {
  auto exists = conductor_.checkQualifier(arrival.function, arrival.qualifier);
  if (!exists) co_return fail(exists.error());
  co_return co_await queue_.enqueue(
      conductor::asyncEvent(arrival, conductor_.catalog().resources(), conductor::wallNow()),
      std::move(arrival.payload));
}

net::Task<void> Gateway::accept(net::Exchange& exchange, const std::string& requestId,
                                const FunctionRef& function, const std::string& qualifier,
                                std::string payload) {
  const net::RequestHead& head = exchange.request();
  auto task = taskIdOf(head);
  auto delay = delayOf(head);
  Result<void> queued = task ? Result<void>{} : fail(task.error());
  if (queued && !delay) queued = fail(delay.error());
  if (queued) {
    queued = co_await enqueue({function, qualifier, requestId, *task, *delay, std::move(payload)});
  }
  if (!queued) {
    co_await refuse(exchange, requestId, queued.error());
    co_return;
  }
  net::ResponseHead answer;
  answer.status = 202;
  answer.headers.add("X-Fc-Request-Id", requestId);
  if (!task->empty()) answer.headers.add("X-Fc-Async-Task-Id", *task);
  // The connection's own failure ends the exchange; nobody is left to be told.
  (void)co_await net::answer(exchange, std::move(answer), {});
}

net::Task<conductor::AttemptResult> Gateway::tryAsync(seams::AsyncEvent event,
                                                      std::string payload) {
  using conductor::AttemptResult;
  auto arrived = conductor_.arrive(event.function, event.qualifier, event.requestId,
                                   conductor::momentNow(conductor_.loop()));
  if (!arrived) {
    const bool gone = arrived.error().kind == ErrorKind::NotFound;
    co_return gone ? AttemptResult::Hopeless : AttemptResult::NotReached;
  }
  Attempt attempt(conductor_, std::move(*arrived));
  const net::SpooledBody body(std::move(payload));
  const Result<net::WholeAnswer> answer = co_await attempt.call(body);
  Verdict verdict = judge(answer, attempt.invocation());
  const bool failed = verdict.ending.outcome == ledger::Outcome::FunctionError;
  const bool unstartable = !answer && answer.error().code == "FunctionNotStarted";
  verdict.ending.bytesIn = body.size();
  auto settled = co_await attempt.settle(std::move(verdict.ending));
  attempt.finish();
  if (!settled) co_return AttemptResult::NotReached;
  if (failed || unstartable) co_return AttemptResult::FunctionFailed;
  co_return answer ? AttemptResult::Done : AttemptResult::NotReached;
}

}  // namespace okibi::gateway
