#include "conductor/conductor.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/check.h"
#include "base/log.h"
#include "conductor/acts.h"
#include "conductor/clock.h"

namespace okibi::conductor {
namespace {

// For what is cut off at the end of a drain to be gone.
constexpr Duration kCutOff = std::chrono::seconds(2);

}  // namespace

Conductor::Conductor(net::Loop& loop, Settings settings, Catalog& catalog, Accounting& accounting,
                     seams::ImageStore& images, seams::InstanceRuntime& runtime)
    : loop_(loop),
      settings_(std::move(settings)),
      catalog_(catalog),
      accounting_(accounting),
      images_(images),
      runtime_(runtime),
      planner_(settings_.planner),
      timer_(loop) {
  runtime_.setListener(this);
}

Conductor::~Conductor() {
  runtime_.setListener(nullptr);
}

void Conductor::start() {
  for (const Card& card : settings_.cards) step(planner::CardAdded{card});
  for (const auto& [id, cap] : catalog_.resources().all<ConcurrencyCap>()) applyCap(id.owner);
  for (const Function* function : catalog_.all()) openAll(function->ref);
  for (const std::string& account : catalog_.accountsWithQuota()) applyQuota(account);
  applyMinimums();
  loop_.spawn(tick());
}

net::Task<void> Conductor::tick() {
  for (;;) {
    co_await loop_.sleep(std::chrono::seconds(1));
    sampleCpu();
    applyMinimums();
    noteSilentDriver();
    // Not awaited: the next heartbeat does not wait for a slow disk.
    loop_.spawn(accounting_.tick(momentNow(loop_)));
  }
}

net::Task<void> Conductor::restUntil(Instant deadline) {
  while (!planner_.atRest() && loop_.now() < deadline) {
    co_await loop_.sleep(std::chrono::milliseconds(10));
  }
}

net::Task<void> Conductor::drain(Instant deadline) {
  step(planner::DrainStarted{});
  co_await restUntil(deadline);
  if (!planner_.atRest()) {
    // What still runs or waits is cut off, so that it is on the ledger and nobody refers to this
    // conductor any more.
    const Error cut{ErrorKind::Unavailable, "okibi is shutting down", {}};
    while (!current_.empty()) close(Target(current_.begin()->first), cut);
    for (const auto& [id, instance] : instances_) loop_.spawn(runtime_.stop(id, Duration::zero()));
    co_await restUntil(loop_.now() + kCutOff);
  }
  if (auto flushed = co_await accounting_.flush(); !flushed) {
    log::error("ledger write failed", "error=\"{}\"", flushed.error().message);
  }
}

void Conductor::step(planner::Event event) {
  events_.push_back(std::move(event));
  if (stepping_ == Stepping::Yes) return;
  stepping_ = Stepping::Yes;
  std::vector<planner::Command> commands;
  while (!events_.empty()) {
    const planner::Event next = std::move(events_.front());
    events_.pop_front();
    commands.clear();
    planner_.step(loop_.now(), next, commands);
    for (planner::Command& command : commands) std::visit(Acts{*this}, std::move(command));
  }
  stepping_ = Stepping::No;
}

Result<std::shared_ptr<Invocation>> Conductor::arrive(const FunctionRef& ref,
                                                      std::string_view qualifier,
                                                      std::string requestId,
                                                      ledger::Moment received,
                                                      std::optional<Duration> mayWait) {
  auto version = chooseVersion(ref, qualifier);
  if (!version) return fail(version.error());
  if (auto refusal = restrictionError(ref)) return fail(std::move(*refusal));
  const auto* cap = catalog_.resources().find<ConcurrencyCap>(ref);
  if (cap != nullptr && cap->reserved == 0) {
    return fail(ErrorKind::Exhausted,
                fmt::format("function '{}' may not be called: its concurrency configuration is 0",
                            ref.name),
                "ResourceExhausted");
  }
  const auto current = current_.find({ref, *version});
  if (current == current_.end()) {
    const Function& f = *catalog_.find(ref);
    if (*version != kLatest) {
      return fail(ErrorKind::Unavailable,
                  fmt::format("version {} of function '{}' has lost its image '{}'; it is being "
                              "fetched",
                              *version, ref.name, f.spec.container.image),
                  "FunctionNotActive");
    }
    return fail(ErrorKind::Unavailable,
                fmt::format("function '{}' is {}{}{}", ref.name, toString(f.state),
                            f.stateReason.empty() ? "" : ": ", f.stateReason),
                f.state == FunctionState::Failed ? "FunctionNotStarted" : "FunctionNotActive");
  }
  auto invocation = std::make_shared<Invocation>(loop_, InvocationId(++lastInvocation_),
                                                 std::move(requestId), received);
  invocation->qualifier = qualifier.empty() ? kLatest : qualifier;
  invocation->revision = revisions_.at(current->second);
  invocations_.emplace(invocation->id, invocation);
  step(planner::InvocationArrived{
      invocation->id, current->second,
      loop_.now() + std::min(mayWait.value_or(settings_.queueDeadline), settings_.queueDeadline)});
  return invocation;
}

net::Task<Result<void>> Conductor::admitted(std::shared_ptr<Invocation> invocation) {
  Result<Result<void>> decided = co_await invocation->admitted.wait();
  if (!decided) co_return fail(decided.error());
  co_return std::move(*decided);
}

net::Task<Result<std::unique_ptr<net::HttpConnection>>> Conductor::connect(
    std::shared_ptr<Invocation> invocation) {
  const std::shared_ptr<Instance> instance = invocation->instance;
  co_return co_await connectionTo(instance, loop_.now() + std::chrono::seconds(5));
}

void Conductor::giveBack(const Invocation& invocation,
                         std::unique_ptr<net::HttpConnection> connection) {
  if (invocation.instance && connection)
    invocation.instance->connections.give(std::move(connection));
}

Result<void> Conductor::settle(Invocation& invocation, const Ending& ending) {
  ledger::InvocationRecord record;
  record.function = invocation.revision->ref;
  record.revision = invocation.revision->number;
  record.requestId = invocation.requestId;
  record.received = invocation.received.wall;
  record.outcome = ending.outcome;
  record.status = ending.status;
  record.errorType = ending.errorType;
  record.bytesIn = ending.bytesIn;
  record.bytesOut = ending.bytesOut;
  record.reason = invocation.reason;
  const ledger::Moment now = momentNow(loop_);
  if (!invocation.use.valid()) {
    record.waited = now.at - invocation.received.at;
    record.ended = now.at;
    return accounting_.refused(std::move(record));
  }
  switch (invocation.warmth) {
    case planner::Warmth::Warm:
      record.start = ledger::StartKind::Warm;
      break;
    case planner::Warmth::Thawed:
    case planner::Warmth::Woken:
      record.start = ledger::StartKind::Woken;
      break;
    case planner::Warmth::Cold:
      record.start = ledger::StartKind::Cold;
      break;
  }
  record.phases = invocation.phases;
  record.concurrentStarts = invocation.concurrentStarts;
  record.concurrency = invocation.revision->spec.concurrency;
  record.startTook = invocation.startTook;
  record.startInit = invocation.startInit;
  record.waited = invocation.dispatched.at - invocation.received.at;
  return accounting_.endRequest(std::exchange(invocation.use, {}), std::move(record), now);
}

net::Task<Result<void>> Conductor::recorded() {
  return accounting_.onLog();
}

void Conductor::end(Invocation& invocation, planner::Outcome outcome) {
  if (invocation.stage != InvocationStage::Dispatched) return;
  invocation.stage = InvocationStage::Over;
  --invocation.instance->inFlight;
  const InvocationId id = invocation.id;
  invocations_.erase(id);
  step(planner::InvocationEnded{id, outcome});
}

std::string Conductor::outputOf(const Invocation& invocation) {
  runtime_.readOutputNow(invocation.instance->id);
  return invocation.instance->output.since(invocation.outputMark);
}

void Conductor::callerLeft(Invocation& invocation) {
  if (invocation.stage == InvocationStage::Over) return;
  if (invocation.stage == InvocationStage::Dispatched) --invocation.instance->inFlight;
  const bool waiting = invocation.stage == InvocationStage::Queued;
  invocation.stage = InvocationStage::Over;
  const auto kept = invocations_.extract(invocation.id);
  if (auto settled = settle(invocation, {.outcome = ledger::Outcome::Cancelled,
                                         .status = 499,
                                         .errorType = "CallerGone",
                                         .bytesIn = {},
                                         .bytesOut = {}});
      !settled) {
    log::error("ledger write failed", "error=\"{}\"", settled.error().message);
  }
  if (waiting) {
    invocation.admitted.set(fail(ErrorKind::Cancelled, "Invocation canceled by client"));
  }
  step(planner::InvocationCancelled{invocation.id});
}

std::vector<InstanceStatus> Conductor::instances() const {
  std::vector<InstanceStatus> list;
  for (const planner::InstanceView& view : planner_.instances()) {
    const auto found = instances_.find(view.id);
    if (found == instances_.end()) continue;
    const Instance& instance = *found->second;
    InstanceStatus status;
    status.name = instance.name;
    status.function = instance.revision->ref.name;
    status.account = instance.revision->ref.account;
    status.version = instance.revision->version;
    status.created = instance.created;
    status.state = std::string(planner::toString(view.state));
    if (view.health == planner::Health::Unhealthy) status.state += " (unhealthy)";
    status.inFlight = view.inFlight;
    status.sessions = view.sessions;
    status.concurrency = instance.revision->spec.concurrency;
    if (view.slice) {
      status.slice = view.slice->memory;
      for (const Card& card : settings_.cards) {
        if (card.id == view.slice->card) status.card = card;
      }
    }
    status.age = loop_.now() - instance.times.ordered;
    status.stateAge = loop_.now() - view.since;
    if (auto pid = runtime_.pidOf(view.id)) status.pid = *pid;
    if (auto use = runtime_.resourceUse(view.id)) status.memory = use->memory;
    list.push_back(std::move(status));
  }
  return list;
}

std::vector<std::string> Conductor::imagesInUse() const {
  std::vector<std::string> digests;
  for (const Function* function : catalog_.all()) {
    if (!function->imageDigest.empty()) digests.push_back(function->imageDigest);
  }
  for (const auto& [id, version] : catalog_.resources().all<Version>()) {
    digests.push_back(version->imageDigest);
  }
  for (const auto& [id, instance] : instances_) digests.push_back(instance->revision->image.digest);
  return digests;
}

}  // namespace okibi::conductor
