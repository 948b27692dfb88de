#pragma once
// Who may call an HTTP trigger or a custom domain, and from which origins: authType with
// authConfig, corsConfig (Function Compute: API, HTTP triggers). Complains by path. Inside api
// only.

#include <optional>

#include "api/json_reader.h"
#include "model/trigger.h"

namespace okibi::api {

// `rulesKey`: the member that says which tokens, users or key.
void readHttpAuth(const Reader& in, Complaints& complaints, HttpTriggerConfig& out,
                  std::string_view rulesKey = "authConfig");
void readCors(const Reader& in, std::optional<CorsRule>& out);

}  // namespace okibi::api
