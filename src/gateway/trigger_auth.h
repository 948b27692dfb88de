#pragma once
// Who may call an HTTP trigger or a custom domain (Function Compute: HTTP triggers): anonymous,
// function (a signature of one of the owner's keys), bearer, basic, jwt. Pure. Messages are
// Function Compute's.

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "auth/verifier.h"
#include "model/trigger.h"
#include "net/http.h"

namespace okibi::gateway {

// What the container is told of the caller: claims of its token.
struct PassedOn {
  std::vector<std::pair<std::string, std::string>> headers, query;
};

// Whether a signed caller may call the function behind it.
using MayCall = std::function<Result<void>(const auth::Caller&)>;

// `path`: where the paths of jwt rules are looked up, without query. Denied,
// or Invalid for a missing header.
Result<PassedOn> authenticateCaller(const HttpTriggerConfig& http, const MayCall& mayCall,
                                    const net::RequestHead& head, std::string_view path,
                                    const auth::Verifier& verifier, WallTime now);

// Puts the claims into the head and the target that go to the container.
void passOn(const PassedOn& claims, net::RequestHead& head, std::string& target);

}  // namespace okibi::gateway
