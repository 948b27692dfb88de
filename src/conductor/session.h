#pragma once
// Session: a program that runs inside an instance for somebody who talks with it (instance exec).
// It needs no slot of the function's concurrency; while it lasts its instance stays awake, and it
// is billed as an invocation is. Loop thread only.

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/limits.h"
#include "base/result.h"
#include "conductor/instance.h"
#include "ledger/moment.h"
#include "ledger/usage_meter.h"
#include "seams/instance_runtime.h"

namespace okibi::conductor {

struct SessionOrder {
  FunctionRef function;
  std::string instance;   // its name
  std::string qualifier;  // the instance must be of it; empty: of any
  seams::Program program;
  std::string requestId;
  ledger::Moment received;
};

class Session {
 public:
  Session(SessionOrder ordered, std::shared_ptr<Instance> in)
      : order(std::move(ordered)), instance(std::move(in)) {}

  const SessionOrder order;
  const std::shared_ptr<Instance> instance;
  std::unique_ptr<seams::ProgramSession> program;
  Bytes bytesIn, bytesOut;  // to and from the program; kept by whoever passes them on

  // Called once, by the conductor, when the session must end: its instance is gone or drains.
  std::function<void(const Error&)> onEnd;

 private:
  friend class Conductor;
  enum class State { Opening, Open, Closed } state_ = State::Opening;
  ledger::UseId use_;
  std::optional<Error> ended_;  // why onEnd was called, or would have been
};

}  // namespace okibi::conductor
