#pragma once
// What is kept from containers and from callers: the header rules of Function Compute: custom
// containers, limits. What a container is told: Conductor::addContainerHeaders. Pure.

#include "conductor/invocation.h"
#include "net/http.h"

namespace okibi::gateway {

// "Server-Timing" of a cold answer whose head leaves `served` after dispatch: what the request
// waited for, phase by phase, the request itself, and their total. Nothing for one that was not
// cold.
void addServerTiming(net::Headers& headers, const conductor::Invocation& invocation,
                     Duration served);
// A caller's headers: x-fc-* must not be forged.
void dropForgedHeaders(net::Headers& headers);
// A container's headers that do not pass through an HTTP trigger.
void dropReservedHeaders(net::Headers& headers);

}  // namespace okibi::gateway
