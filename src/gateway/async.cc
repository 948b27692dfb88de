// Asynchronous invocations: accepted with 202 once they are durable, tried by the queue.

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "base/log.h"
#include "conductor/clock.h"
#include "gateway/attempt.h"
#include "gateway/container_contract.h"
#include "gateway/cors.h"
#include "gateway/gateway.h"
#include "gateway/kept_request.h"
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

// Begins with a letter or '_' (Function Compute: API).
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

// An answer of 500 and more is the function's error, unless it says itself how it went (Function
// Compute: custom containers).
void judgePassed(const Result<net::WholeAnswer>& answer, Verdict& verdict) {
  if (!answer) return;
  verdict.ending.status = answer->head.status;
  if (answer->head.status < 500 || answer->head.headers.has("x-fc-status")) return;
  verdict.ending.outcome = ledger::Outcome::FunctionError;
  verdict.ending.errorType = "InvocationError";
}

}  // namespace

net::Task<Result<void>> Gateway::enqueue(conductor::AsyncArrival arrival) {
  auto exists = conductor_.checkQualifier(arrival.function, arrival.qualifier);
  if (!exists) co_return fail(exists.error());
  co_return co_await queue_.enqueue(
      conductor::asyncEvent(arrival, conductor_.catalog().resources(), conductor::wallNow()),
      std::move(arrival.payload));
}

net::Task<void> Gateway::accept(net::Exchange& exchange, conductor::AsyncArrival arrival,
                                net::Headers more) {
  const net::RequestHead& head = exchange.request();
  const std::string requestId = arrival.requestId;
  auto task = taskIdOf(head);
  auto delay = delayOf(head);
  Result<void> queued = task ? Result<void>{} : fail(task.error());
  if (queued && !delay) queued = fail(delay.error());
  if (queued) {
    arrival.taskId = *task;
    arrival.delay = *delay;
    queued = co_await enqueue(std::move(arrival));
  }
  if (!queued) {
    co_await refuse(exchange, requestId, queued.error());
    co_return;
  }
  net::ResponseHead answer;
  answer.status = 202;
  answer.headers = std::move(more);
  answer.headers.add("X-Fc-Request-Id", requestId);
  if (!task->empty()) answer.headers.add("X-Fc-Async-Task-Id", *task);
  // The connection's own failure ends the exchange; nobody is left to be told.
  (void)co_await net::answer(exchange, std::move(answer), {});
}

// Who calls is known now, and what he may say: the container gets it later as it would get it now.
net::Task<void> Gateway::acceptPassing(net::Exchange& exchange, std::string requestId,
                                       Route route) {
  net::RequestHead head = exchange.request();
  auto body =
      co_await net::readBody(exchange, limits::kAsyncBody, conductor_.settings().spoolDirectory);
  auto text = body ? body->text() : Result<std::string>(fail(body.error()));
  if (!text) {
    co_await refuse(exchange, requestId, text.error());
    co_return;
  }
  net::ResponseHead answer;
  addCorsHeaders(route.http, head.headers.getOr("origin", ""), answer);
  dropForgedHeaders(head.headers);
  std::string target = std::move(route.target);
  passOn(route.claims, head, target);
  head.target = std::move(target);
  co_await accept(exchange,
                  {.function = route.function,
                   .qualifier = route.qualifier,
                   .requestId = requestId,
                   .taskId = {},
                   .payload = encodeRequest(head, *text),
                   .http = true},
                  std::move(answer.headers));
}

net::Task<conductor::AttemptResult> Gateway::tryAsync(seams::AsyncEvent event,
                                                      std::string payload) {
  using conductor::AttemptResult;
  KeptRequest request{{}, std::move(payload)};
  if (event.http) {
    auto kept = decodeRequest(request.body);
    if (!kept) {
      log::error("asynchronous invocation dropped", "request={} error=\"{}\"", event.requestId,
                 kept.error().message);
      co_return AttemptResult::Hopeless;
    }
    request = std::move(*kept);
  }
  auto arrived = conductor_.arrive(event.function, event.qualifier, event.requestId,
                                   conductor::momentNow(conductor_.loop()));
  if (!arrived) {
    const bool gone = arrived.error().kind == ErrorKind::NotFound;
    co_return gone ? AttemptResult::Hopeless : AttemptResult::NotReached;
  }
  Attempt attempt(conductor_, std::move(*arrived));
  const net::SpooledBody body(std::move(request.body));
  auto call = event.http ? attempt.pass(std::move(request.head), body) : attempt.call(body);
  const Result<net::WholeAnswer> answer = co_await std::move(call);
  Verdict verdict = judge(answer, attempt.invocation());
  if (event.http) judgePassed(answer, verdict);
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
