#pragma once
// Invocation: one request on its way through the conductor. The gateway holds it; from arrival to
// settle() it is in exactly one place (law 2). Loop thread only.

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "conductor/instance.h"
#include "ledger/record.h"
#include "ledger/usage_meter.h"
#include "net/event.h"
#include "planner/command.h"

namespace okibi::conductor {

enum class InvocationStage { Queued, Dispatched, Over };

class Invocation {
 public:
  Invocation(net::Loop& loop, InvocationId id, std::string requestId, ledger::Moment received)
      : id(id), requestId(std::move(requestId)), received(received), admitted(loop), lost(loop) {}

  const InvocationId id;
  const std::string requestId;
  const ledger::Moment received;

  std::string qualifier;  // as asked for
  InvocationStage stage = InvocationStage::Queued;
  std::shared_ptr<const Revision> revision;
  std::shared_ptr<Instance> instance;  // once dispatched
  ledger::Moment dispatched{};
  planner::Warmth warmth = planner::Warmth::Warm;
  std::string reason;
  std::optional<Duration> retryAfter;  // refused: when it may be served
  ledger::ColdPhases phases;
  int concurrentStarts = 0;
  Duration startTook{}, startInit{};  // of its instance, if it is the first there
  ledger::UseId use;
  std::uint64_t outputMark = 0;  // where its instance's output stood at dispatch

  net::OneShot<Result<void>> admitted;  // dispatched, or why not
  net::OneShot<Error> lost;             // the instance is gone under a dispatched request
};

}  // namespace okibi::conductor
