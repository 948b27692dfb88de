#pragma once
// Attempt: one invocation from arrival to its end, as the gateway walks it. Its destructor ends
// what was not ended, so that no path leaks a slot (law 2). Loop thread only; lives in the
// handler's frame.

#include <memory>
#include <string>

#include "conductor/conductor.h"
#include "net/http_client.h"
#include "net/spool.h"

namespace okibi::gateway {

class Attempt {
 public:
  Attempt(conductor::Conductor& conductor, std::shared_ptr<conductor::Invocation> invocation)
      : conductor_(conductor), invocation_(std::move(invocation)) {}
  ~Attempt();
  Attempt(const Attempt&) = delete;

  const conductor::Invocation& invocation() const { return *invocation_; }

  // Waits for an instance and connects to it.
  net::Task<Result<net::HttpConnection*>> reach();
  // Another connection to the same instance, after the first broke without an answer.
  net::Task<Result<net::HttpConnection*>> reconnect();
  // The whole of an API invocation's upstream part: POST /invoke with `body`.
  net::Task<Result<net::WholeAnswer>> call(const net::SpooledBody& body);
  // The same of a request of the caller's own, as an HTTP trigger passes it on.
  net::Task<Result<net::WholeAnswer>> pass(net::RequestHead head, const net::SpooledBody& body);
  // Why a connection to the instance broke: waits briefly for the news that the instance ended.
  net::Task<Error> explainBreak(Error error);

  // The instant at which the function's timeout strikes. REQUIRES: reached.
  Instant deadline() const;
  Error timeoutError() const;

  void callerLeft();
  bool callerIsGone() const { return caller_ == Caller::Gone; }
  // On the ledger when it returns: before the last byte leaves. Once.
  net::Task<Result<void>> settle(conductor::Ending ending);
  bool settled() const { return settled_ == Settled::Yes; }
  // Frees the slot. What the planner is told follows from how it went.
  void finish();
  void went(planner::Outcome outcome) { outcome_ = outcome; }
  std::string logTail() const;

 private:
  net::Task<Result<net::WholeAnswer>> send(net::RequestHead head, const net::SpooledBody& body,
                                           std::string_view controlPath);
  enum class Caller { There, Gone };
  enum class Settled { No, Yes };

  conductor::Conductor& conductor_;
  std::shared_ptr<conductor::Invocation> invocation_;
  std::unique_ptr<net::HttpConnection> connection_;
  Caller caller_ = Caller::There;
  Settled settled_ = Settled::No;
  planner::Outcome outcome_ = planner::Outcome::InstanceBroken;  // until it went otherwise
};

}  // namespace okibi::gateway
