#pragma once
// What the container is told and what is kept from callers: the header rules of Function Compute:
// custom containers, limits. Pure.

#include <memory>
#include <string>
#include <string_view>

#include "conductor/invocation.h"
#include "net/http.h"

namespace okibi::gateway {

struct ContainerContext {
  std::string account, region, requestId, qualifier;
  std::string controlPath;                                              // "/invoke", "/http-invoke"
  std::shared_ptr<const conductor::Credentials> credentials = nullptr;  // null: none
};

// Adds the x-fc-* headers a container may rely on. REQUIRES: the caller's own x-fc-* are gone.
void addContainerHeaders(net::Headers& headers, const conductor::Revision& revision,
                         const ContainerContext& context);
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
