#pragma once
// How a request wants to be invoked: its header x-fc-invocation-type (Function Compute: API, HTTP
// triggers). Inside gateway only.

#include "base/result.h"
#include "net/http.h"

namespace okibi::gateway {

bool isAsync(const net::RequestHead& head);
// Invalid: neither Sync (or nothing) nor Async.
Result<void> checkInvocationType(const net::RequestHead& head);

}  // namespace okibi::gateway
