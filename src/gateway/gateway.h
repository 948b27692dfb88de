#pragma once
// Gateway: the data path. Routes a request to a function, authenticates it, waits for an instance,
// relays, and puts the call on the ledger. Three doors (Function Compute: custom containers):
//   - API invocation: POST /2023-03-30/functions/{name}/invocations; the container sees POST
//   /invoke, only
//     the answer's body goes back. Spooled: the signed hash and the error headers are known at the
//     end.
//   - Custom domain: Host is one of conductor/domain_table.h; below it every path is the domain's.
//   Passed through, streamed, as by a trigger.
//   - HTTP trigger: Host "{label}.{region}.okibi.localhost" (conductor/trigger_address.h) or path
//     "/proxy/{label}/…"; passed through, streamed.
// Loop thread only.

#include <functional>
#include <string>

#include "auth/verifier.h"
#include "conductor/async_queue.h"
#include "conductor/conductor.h"
#include "conductor/trigger_address.h"
#include "gateway/trigger_auth.h"
#include "net/exchange.h"
#include "net/relay.h"

namespace okibi::gateway {

enum class ApiAuth { Signature, None };

struct GatewayOptions {
  ApiAuth auth = ApiAuth::Signature;
  conductor::TriggerAddresses addresses;
  std::uint16_t httpsPort = 0;  // where plain requests to an HTTPS domain are sent; 0: nowhere
};

class Gateway {
 public:
  Gateway(conductor::Conductor& conductor, conductor::AsyncQueue& queue, auth::Verifier& verifier,
          GatewayOptions options)
      : conductor_(conductor), queue_(queue), verifier_(verifier), options_(std::move(options)) {}

  // An API invocation, a path or host of a trigger, or anything on a custom domain.
  bool owns(const net::RequestHead& head) const;
  // Whether the Host is a custom domain's.
  bool ownsHost(const net::RequestHead& head) const { return domainOf(head) != nullptr; }
  net::Task<void> serve(net::Exchange& exchange, std::string requestId);

  // Puts an asynchronous invocation into the queue: durable when it returns.
  net::Task<Result<void>> enqueue(conductor::AsyncArrival arrival);
  // One try of one, for the queue.
  net::Task<conductor::AttemptResult> tryAsync(seams::AsyncEvent event, std::string payload);

 private:
  struct Route {
    FunctionRef function;
    std::string target;  // what the container sees (HTTP trigger)
    std::string qualifier;
    PassedOn claims;
    HttpTriggerConfig http;
  };
  bool isInvocation(const net::RequestHead& head) const;
  struct Passing;
  std::optional<net::ResponseHead> preflightFor(const net::Exchange& exchange) const;
  const conductor::Domain* domainOf(const net::RequestHead& head) const;
  Result<Route> routeTrigger(const net::Exchange& exchange) const;
  Result<Route> routeDomain(const net::Exchange& exchange, const conductor::Domain& domain) const;
  // The keys of its account, and those of roles that may invoke it.
  MayCall ownersOf(const FunctionRef& function) const;
  static bool mustBeSecure(const net::Exchange& exchange, const conductor::Domain& domain);
  net::Task<void> sendToHttps(net::Exchange& exchange, const std::string& requestId,
                              const conductor::Domain& domain) const;
  std::optional<conductor::TriggerAddresses::Match> labelOf(const net::RequestHead& head,
                                                            std::string_view& target) const;

  net::Task<void> invoke(net::Exchange& exchange, std::string requestId, ledger::Moment received);
  // Answers 202 once it is in the queue. `more`: headers of the answer.
  net::Task<void> accept(net::Exchange& exchange, conductor::AsyncArrival arrival,
                         net::Headers more = {});
  net::Task<void> acceptPassing(net::Exchange& exchange, std::string requestId, Route route);
  net::Task<void> passThrough(net::Exchange& exchange, std::string requestId, Route route,
                              ledger::Moment received);

  conductor::Conductor& conductor_;
  conductor::AsyncQueue& queue_;
  auth::Verifier& verifier_;
  GatewayOptions options_;
};

// "1-" and 8, 8 and 12 hex digits.
std::string makeRequestId();

// Answers {RequestId, Code, Message}; the kind decides the status.
// `retryAfter`: when it is worth another try (RFC 9110, 10.2.3).
net::Task<void> refuse(net::Exchange& exchange, const std::string& requestId, const Error& error,
                       std::optional<Duration> retryAfter = std::nullopt);

}  // namespace okibi::gateway
