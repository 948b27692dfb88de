#pragma once
// Cross-origin rules of HTTP triggers (Function Compute: HTTP triggers). Without a rule every
// origin is let in and the container answers preflights itself. Pure.

#include <optional>

#include "model/trigger.h"
#include "net/http.h"

namespace okibi::gateway {

// The 204 that answers a preflight; nullopt: it is none, or the rule does not let it in, and the
// container is asked.
std::optional<net::ResponseHead> answerPreflight(const HttpTriggerConfig& http,
                                                 const net::RequestHead& head);

// What an answer to `request` says to a browser. Fields that the container set stay where there is
// no rule.
void addCorsHeaders(const HttpTriggerConfig& http, std::string_view origin,
                    net::ResponseHead& response);

}  // namespace okibi::gateway
