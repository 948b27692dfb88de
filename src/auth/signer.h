#pragma once
// Signer: the client's side of the same algorithms, for the command line client and for tests.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "auth/access_key.h"
#include "auth/request.h"
#include "base/units.h"

namespace okibi::auth {

inline constexpr std::string_view kAlgorithm = "ACS3-HMAC-SHA256";

using HeaderList = std::vector<std::pair<std::string, std::string>>;

// The headers to add to a control API request: x-acs-version, x-acs-action, x-acs-date,
// x-acs-signature-nonce, x-acs-content-sha256, with a temporary key x-acs-accesskey-id and
// x-acs-security-token, Authorization. `request.headers` must hold host
// (with port, as it will be sent) and content-type if there is a body.
HeaderList signApi(const RequestHead& request, std::string_view action,
                   std::string_view bodySha256Hex, const AccessKey& key, WallTime now,
                   std::string_view nonce, std::string_view securityToken = {});

// The headers to add to a request to an HTTP trigger: x-acs-date, Authorization.
HeaderList signTrigger(const RequestHead& request, const AccessKey& key, WallTime now);

}  // namespace okibi::auth
