// SPDX-License-Identifier: Apache-2.0
#pragma once
// How a request wants to be invoked: its header x-fc-invocation-type (fact sheet 1.6, 3.7). Inside
// gateway only.

#include "base/result.h"
#include "net/http.h"

namespace okibi::gateway {

bool isAsync(const net::RequestHead& head);
// Invalid: neither Sync (or nothing) nor Async.
Result<void> checkInvocationType(const net::RequestHead& head);

}  // namespace okibi::gateway
