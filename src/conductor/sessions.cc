// Sessions of programs inside instances: who may open one, how long they keep an instance, what
// they cost.

#include <algorithm>

#include <fmt/format.h>

#include "base/log.h"
#include "conductor/clock.h"
#include "conductor/conductor.h"
#include "conductor/session.h"

namespace okibi::conductor {
namespace {

std::unexpected<Error> noInstance(const SessionOrder& order, std::string_view more) {
  return fail(ErrorKind::NotFound,
              fmt::format("function '{}' has no live instance '{}'{}", order.function.name,
                          order.instance, more),
              "InstanceNotFound");
}

std::unexpected<Error> tooMany(std::string_view quota, std::size_t limit) {
  return fail(ErrorKind::Exhausted,
              fmt::format("{}: the limit is {}, {} are in use", quota, limit, limit),
              "ResourceExhausted");
}

}  // namespace

Result<std::shared_ptr<Instance>> Conductor::instanceFor(const SessionOrder& order) {
  if (catalog_.find(order.function) == nullptr) {
    return fail(ErrorKind::NotFound,
                fmt::format("function '{}' does not exist", order.function.name),
                "FunctionNotFound");
  }
  auto versions = versionsOf(order.function, order.qualifier);
  if (!versions) return fail(std::move(versions.error()));
  for (const auto& [id, instance] : instances_) {
    if (instance->name != order.instance || instance->revision->ref != order.function) continue;
    const std::string& version = instance->revision->version;
    if (order.qualifier.empty() || std::ranges::find(*versions, version) != versions->end()) {
      return instance;
    }
    return noInstance(order,
                      fmt::format(" of qualifier {}; it is of {}", order.qualifier, version));
  }
  return noInstance(order, "; ListInstances shows those there are");
}

Result<void> Conductor::checkSessionLimits(const Instance& instance) const {
  std::size_t inInstance = 0;
  for (const auto& session : sessions_) inInstance += session->instance.get() == &instance ? 1 : 0;
  if (sessions_.size() >= limits::kSessions) return tooMany("sessions", limits::kSessions);
  if (inInstance >= limits::kSessionsPerInstance) {
    return tooMany("sessions of the instance", limits::kSessionsPerInstance);
  }
  return {};
}

net::Task<Result<std::shared_ptr<Session>>> Conductor::openSession(SessionOrder order) {
  auto instance = instanceFor(order);
  if (!instance) co_return fail(std::move(instance.error()));
  if (auto within = checkSessionLimits(**instance); !within) co_return fail(within.error());
  const InstanceId id = (*instance)->id;
  const auto count = [&] {
    const auto view = planner_.instance(id);
    return view ? view->sessions : 0;
  };
  const int before = count();
  step(planner::SessionOpened{id});
  if (count() == before) {
    const auto view = planner_.instance(id);
    co_return fail(ErrorKind::Unavailable,
                   fmt::format("instance '{}' is {}: a program can be run in one that serves "
                               "requests",
                               order.instance, view ? planner::toString(view->state) : "gone"),
                   "InstanceNotReady");
  }
  auto session = std::make_shared<Session>(std::move(order), *instance);
  sessions_.push_back(session);
  auto program = co_await runtime_.run(id, session->order.program);
  if (session->state_ == Session::State::Closed) {
    co_return fail(*session->ended_);
  }
  if (!program) {
    forgetSession(*session);
    co_return fail(std::move(program.error()));
  }
  session->program = std::move(*program);
  session->state_ = Session::State::Open;
  session->use_ = accounting_.begin((*instance)->name, ledger::UseKind::Request, momentNow(loop_));
  log::info("session opened", "instance={} function={} request={}", (*instance)->name,
            session->order.function.name, session->order.requestId);
  co_return session;
}

void Conductor::forgetSession(Session& session) {
  session.state_ = Session::State::Closed;
  const InstanceId id = session.instance->id;
  std::erase_if(sessions_, [&](const auto& one) { return one.get() == &session; });
  step(planner::SessionClosed{id});
}

void Conductor::closeSession(const std::shared_ptr<Session>& session) {
  if (session->state_ == Session::State::Closed) return;
  session->program.reset();
  session->onEnd = nullptr;
  if (session->use_.valid()) recordSession(*session);
  log::info("session closed", "instance={} function={} request={}", session->instance->name,
            session->order.function.name, session->order.requestId);
  forgetSession(*session);
}

void Conductor::recordSession(Session& session) {
  const Revision& revision = *session.instance->revision;
  ledger::InvocationRecord record;
  record.function = revision.ref;
  record.revision = revision.number;
  record.requestId = session.order.requestId;
  record.received = session.order.received.wall;
  record.outcome = ledger::Outcome::Success;
  record.status = 101;
  record.bytesIn = session.bytesIn;
  record.bytesOut = session.bytesOut;
  record.reason = "a program was run in the instance";
  const ledger::Moment now = momentNow(loop_);
  auto done = accounting_.endRequest(std::exchange(session.use_, {}), std::move(record), now);
  if (!done) log::error("ledger write failed", "error=\"{}\"", done.error().message);
}

// Whoever passes the bytes on may still have something to say to the caller; what the session holds
// of the instance is given back at once.
void Conductor::endSession(const std::shared_ptr<Session>& session, const Error& why) {
  if (session->state_ == Session::State::Closed) return;
  session->ended_ = why;
  const auto tell = std::exchange(session->onEnd, nullptr);
  closeSession(session);
  if (tell) tell(why);
}

void Conductor::endSessionsOf(InstanceId id, const Error& why) {
  const auto all = sessions_;
  for (const auto& session : all) {
    if (session->instance->id == id) endSession(session, why);
  }
}

// The planner waits for them; not for ever.
net::Task<void> Conductor::endSessionsLater(InstanceId id) {
  co_await loop_.sleep(limits::kSessionDrain);
  endSessionsOf(id, {ErrorKind::Unavailable, "the instance is being released", {}});
}

}  // namespace okibi::conductor
