// Health checks of instances whose function asks for them (Function Compute: health checks): one
// before the instance is ready, which decides whether the start succeeds, then one every period.
// What follows from them is the planner's: an unhealthy instance gets no new requests.

#include <fmt/format.h>

#include "base/log.h"
#include "conductor/conductor.h"

namespace okibi::conductor {
namespace {

// Counts answers in a row until they change what is known.
class HealthRecord {
 public:
  explicit HealthRecord(const HealthCheck& rule) : rule_(rule) {}

  // The new health, if this answer changes it.
  std::optional<planner::Health> note(bool succeeded) {
    const bool confirms = succeeded == (health_ == planner::Health::Healthy);
    inRow_ = confirms ? 0 : inRow_ + 1;
    const int needed = succeeded ? rule_.successThreshold : rule_.failureThreshold;
    if (confirms || inRow_ < needed) return std::nullopt;
    inRow_ = 0;
    health_ = succeeded ? planner::Health::Healthy : planner::Health::Unhealthy;
    return health_;
  }

 private:
  const HealthCheck& rule_;
  planner::Health health_ = planner::Health::Healthy;
  int inRow_ = 0;  // answers against `health_`
};

}  // namespace

net::Task<Result<void>> Conductor::firstHealthCheck(std::shared_ptr<Instance> instance) {
  const HealthCheck& check = *instance->revision->spec.container.healthCheck;
  co_await loop_.sleep(check.initialDelay);
  Result<void> healthy = co_await checkHealth(instance);
  if (healthy) co_return healthy;
  co_return fail(
      ErrorKind::Unavailable,
      fmt::format("Function instance check function health failed {}", healthy.error().message),
      "FunctionNotStarted");
}

net::Task<void> Conductor::watchHealth(std::shared_ptr<Instance> instance) {
  const HealthCheck& check = *instance->revision->spec.container.healthCheck;
  HealthRecord record(check);
  for (;;) {
    co_await loop_.sleep(check.period);
    if (instance->phase != InstancePhase::Serving) co_return;
    // A stopped one cannot answer. A full one need not: a server that answers one request at a time
    // would fail the check by doing its work.
    if (instance->cpu == Instance::Cpu::Stopped) continue;
    if (instance->inFlight >= instance->revision->spec.concurrency) continue;
    const Result<void> answer = co_await checkHealth(instance);
    if (instance->phase != InstancePhase::Serving) co_return;
    if (instance->cpu == Instance::Cpu::Stopped) continue;  // frozen under the check: says nothing
    const auto changed = record.note(answer.has_value());
    if (!changed) continue;
    log::warning("health changed", "instance={} function={} healthy={} check=\"{}\"",
                 instance->name, instance->revision->ref.name, *changed == planner::Health::Healthy,
                 answer ? "" : answer.error().message);
    step(planner::InstanceHealthChanged{instance->id, *changed});
  }
}

net::Task<Result<void>> Conductor::checkHealth(std::shared_ptr<Instance> instance) {
  const HealthCheck& check = *instance->revision->spec.container.healthCheck;
  const Instant deadline = loop_.now() + check.timeout;
  auto connection = co_await connectionTo(instance, deadline);
  if (!connection) co_return fail(std::move(connection.error()));
  net::RequestHead head;
  head.method = "GET";
  head.target = check.path;
  head.headers.add("Host", "127.0.0.1");
  const net::SpooledBody empty;
  auto answer = co_await net::call(loop_, **connection, std::move(head), empty, limits::kApiBody,
                                   deadline, settings_.spoolDirectory);
  if (!answer) co_return fail(std::move(answer.error()));
  instance->connections.give(std::move(*connection));
  const int status = answer->head.status;
  if (status >= 200 && status < 400) co_return Result<void>{};
  co_return fail(ErrorKind::Unavailable, fmt::format("with status code: {}", status));
}

}  // namespace okibi::conductor
