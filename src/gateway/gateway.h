#pragma once
// Gateway: the data path. Routes a request to a function, authenticates it, waits for an instance,
// relays, and puts the call on the ledger. Two doors (fact sheet 3.1, 3.4):
//   - API invocation: POST /2023-03-30/functions/{name}/invocations; the container sees POST
//   /invoke, only
//     the answer's body goes back. Spooled: the signed hash and the error headers are known at the
//     end.
//   - HTTP trigger: Host "<trigger id>.…" or path "/trigger/<trigger id>/…"; passed through,
//   streamed.
// Loop thread only.

#include <functional>
#include <string>

#include "auth/verifier.h"
#include "conductor/conductor.h"
#include "net/exchange.h"
#include "net/relay.h"

namespace okibi::gateway {

enum class ApiAuth { Signature, None };

struct GatewayOptions {
  ApiAuth auth = ApiAuth::Signature;
};

class Gateway {
 public:
  Gateway(conductor::Conductor& conductor, auth::Verifier& verifier, GatewayOptions options)
      : conductor_(conductor), verifier_(verifier), options_(std::move(options)) {}

  // An API invocation, or a path or host of a trigger.
  bool owns(const net::RequestHead& head) const;
  net::Task<void> serve(net::Exchange& exchange, std::string requestId);

 private:
  struct Route {
    FunctionRef function;
    const Trigger* trigger = nullptr;  // null: API invocation
    std::string target;                // what the container sees (HTTP trigger)
    std::string qualifier;
  };
  bool isInvocation(const net::RequestHead& head) const;
  struct Passing;
  Result<Route> routeTrigger(const net::RequestHead& head) const;
  Result<void> authenticate(const net::RequestHead& head, const Route& route);

  net::Task<void> invoke(net::Exchange& exchange, std::string requestId, ledger::Moment received);
  net::Task<void> passThrough(net::Exchange& exchange, std::string requestId, Route route,
                              ledger::Moment received);

  conductor::Conductor& conductor_;
  auth::Verifier& verifier_;
  GatewayOptions options_;
};

// "1-" and 8, 8 and 12 hex digits.
std::string makeRequestId();

// Answers {RequestId, Code, Message}; the kind decides the status.
net::Task<void> refuse(net::Exchange& exchange, const std::string& requestId, const Error& error);

}  // namespace okibi::gateway
