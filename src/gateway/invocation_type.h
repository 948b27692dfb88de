#pragma once
// How a request wants to be invoked: its header x-fc-invocation-type (Function Compute: API, HTTP
// triggers), and how long it may wait for an instance, which Function Compute has no word for: its
// header X-Okibi-Queue-Deadline-Ms. Inside gateway only.

#include <optional>

#include "base/result.h"
#include "base/units.h"
#include "net/http.h"

namespace okibi::gateway {

bool isAsync(const net::RequestHead& head);
// Invalid: neither Sync (or nothing) nor Async, or what queueDeadline() cannot read. An
// asynchronous request has no such deadline: how old it may become is its function's configuration.
Result<void> checkInvocationType(const net::RequestHead& head);

// From its arrival; nullopt: the caller does not say. REQUIRES: checkInvocationType().
std::optional<Duration> queueDeadline(const net::RequestHead& head);

}  // namespace okibi::gateway
