#pragma once
// Api: Function Compute's control API 2023-03-30 and our own /okibi/v1, over one Exchange at a
// time. Verifies the caller, reads the body, answers JSON; errors as {RequestId, Code, Message}.
// Loop thread only.

#include <string>

#include "api/disk_turns.h"
#include "auth/verifier.h"
#include "conductor/accounts.h"
#include "conductor/conductor.h"
#include "conductor/trigger_address.h"
#include "net/exchange.h"
#include "net/http.h"
#include "net/task.h"

namespace okibi::api {

struct ApiOptions {
  // None: everybody acts for the conductor's own account; then only loopback names are accepted as
  // Host and Origin, so that a web page cannot reach the API through the user's browser.
  enum class Auth { Signature, None };
  Auth auth = Auth::Signature;
  conductor::TriggerAddresses addresses;
};

class Api {
 public:
  Api(conductor::Conductor& conductor, conductor::Accounts& accounts, auth::Verifier& verifier,
      ApiOptions options)
      : conductor_(conductor),
        accounts_(accounts),
        verifier_(verifier),
        options_(std::move(options)),
        disk_(conductor.loop(), conductor.catalog()) {}

  // Whether `head` is the API's: below /2023-03-30/ or /okibi/v1/, but not an invocation, which is
  // the gateway's.
  static bool owns(const net::RequestHead& head);

  // REQUIRES: owns(exchange.request()).
  net::Task<void> serve(net::Exchange& exchange, const std::string& requestId);

 private:
  net::Task<Result<void>> handle(net::Exchange& exchange, const std::string& requestId);
  net::Task<Result<void>> exec(net::Exchange& exchange, const std::string& requestId);
  Result<auth::Caller> authenticate(const net::RequestHead& head) const;
  Result<auth::Caller> authenticateExec(const net::RequestHead& head) const;
  static bool isExec(const net::RequestHead& head);

  conductor::Conductor& conductor_;
  conductor::Accounts& accounts_;
  auth::Verifier& verifier_;
  ApiOptions options_;
  DiskTurns disk_;
};

}  // namespace okibi::api
